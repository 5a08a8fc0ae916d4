// A base definition (images/bases/NAME.yaml): which packages of which archives make the system roles build on.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { EXIT, PiimgError } from '../lib/errors.ts';
import { nearest } from '../lib/suggest.ts';
import { loadYaml, type Language } from '../lib/yaml/load.ts';
import { reportError } from '../lib/yaml/report.ts';
import { baseJsonSchema, baseSchema } from './schema.ts';

type BaseFile = z.output<typeof baseSchema>;
export type BaseDefinition = BaseFile & { name: string };

const baseLanguage: Language<BaseFile> = {
  kind: 'base',
  schema: baseSchema,
  jsonSchema: baseJsonSchema,
  least: 'what debian-trixie.yaml says, to begin with',
};

/**
 * Reads `NAME.yaml` from the first of `dirs` that has it. Throws PiimgError (usage): an unknown name with the nearest one, or
 * the report of all that is wrong in the file.
 */
export async function loadBase(name: string, dirs: string[]): Promise<BaseDefinition> {
  for (const dir of dirs) {
    if (!(await namesIn(dir)).includes(name)) continue;
    const { value, issues } = await loadYaml(join(dir, `${name}.yaml`), baseLanguage);
    if (value === undefined) throw reportError(`Base ${name}`, issues);
    return { ...value, name };
  }
  const known = [...new Set((await Promise.all(dirs.map(namesIn))).flat())].sort();
  const near = nearest(name, known);
  throw new PiimgError(`There is no base \`${name}\` in ${dirs.join(' or ')}`, {
    exitCode: EXIT.usage,
    hint: `${near === undefined ? '' : `Did you mean \`${near}\`? `}Bases: ${known.join(', ') || 'none'}.`,
  });
}

async function namesIn(dir: string): Promise<string[]> {
  const files = await readdir(dir).catch(() => []);
  return files.flatMap((file) => /^(.+)\.yaml$/.exec(file)?.[1] ?? []);
}
