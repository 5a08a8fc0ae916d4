// Definitions that are found by name: NAME.yaml in the first of some folders that has it.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT, PiimgError } from '../errors.ts';
import { nearest } from '../suggest.ts';
import { loadYaml, type Language } from './load.ts';
import { reportError } from './report.ts';

/**
 * Reads `NAME.yaml` from the first of `dirs` that has it. Throws PiimgError (usage): an unknown name with the nearest one, or
 * the report of all that is wrong in the file.
 */
export async function loadNamed<T extends object>(
  name: string,
  dirs: string[],
  language: Language<T>,
): Promise<T & { name: string }> {
  const title = language.kind.replace(/^./, (letter) => letter.toUpperCase());
  for (const dir of dirs) {
    if (!(await namesIn(dir)).includes(name)) continue;
    const { value, issues } = await loadYaml(join(dir, `${name}.yaml`), language);
    if (value === undefined) throw reportError(`${title} ${name}`, issues);
    return { ...value, name };
  }
  const known = await definedNames(dirs);
  const near = nearest(name, known);
  throw new PiimgError(`There is no ${language.kind} \`${name}\` in ${dirs.join(' or ')}`, {
    exitCode: EXIT.usage,
    hint: `${near === undefined ? '' : `Did you mean \`${near}\`? `}${title}s: ${known.join(', ') || 'none'}.`,
  });
}

/** The names of all definitions in these folders, sorted. */
export async function definedNames(dirs: string[]): Promise<string[]> {
  return [...new Set((await Promise.all(dirs.map(namesIn))).flat())].sort();
}

async function namesIn(dir: string): Promise<string[]> {
  const files = await readdir(dir).catch(() => []);
  return files.flatMap((file) => /^(.+)\.yaml$/.exec(file)?.[1] ?? []);
}
