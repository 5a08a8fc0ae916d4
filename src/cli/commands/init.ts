// `piimg init DIR`: a small project of the user's own, whole or not at all.
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { quote } from '../../lib/quote.ts';
import { packageRoot } from '../../host/package-root.ts';
import { EXIT, PiimgError } from '../../lib/errors.ts';
import { projectFiles } from '../init-files.ts';
import { print } from './output.ts';
import { schemaFile } from './schema.ts';

/** Throws PiimgError (usage) when the folder is not empty, cannot be made, or its name cannot be a role's. */
export async function init(dir: string): Promise<void> {
  const target = path.resolve(dir);
  const name = await roleName(target);
  const exists = await isEmptyFolder(target);
  const files = projectFiles(name, await readFile(schemaFile('role'), 'utf8'));
  const made = foldersToMake(target);
  try {
    await write(files, target, exists);
  } catch (error) {
    // Innermost first; one that somebody else has put something into stays.
    for (const folder of made) await rmdir(folder).catch(() => {});
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new PiimgError(`${target} cannot be made: ${path.dirname(target)} takes no new folders`, {
      exitCode: EXIT.usage,
      hint: 'Choose a place on a disk.',
      cause: error,
    });
  }
  const steps = [...(target === process.cwd() ? [] : [quote(['cd', dir])]), `piimg build --role ${name}`];
  print(
    [...Object.keys(files).map((file) => `  ${file}`), '', 'Next:', ...steps.map((step) => `  ${step}`)].join('\n'),
  );
}

/** The folders above `target` that are not there yet, the innermost first. */
function foldersToMake(target: string): string[] {
  const above = path.dirname(target);
  return above === target || existsSync(above) ? [] : [above, ...foldersToMake(above)];
}

/** Everything is written beside its place first, so that an error half-way leaves nothing behind. */
async function write(files: Record<string, string>, target: string, exists: boolean): Promise<void> {
  if (!exists) await mkdir(path.dirname(target), { recursive: true });
  const draft = await mkdtemp(path.join(exists ? target : path.dirname(target), '.piimg-init-'));
  try {
    for (const [file, content] of Object.entries(files)) {
      await mkdir(path.dirname(path.join(draft, file)), { recursive: true });
      await writeFile(path.join(draft, file), content);
    }
    if (exists)
      for (const entry of await readdir(draft)) await rename(path.join(draft, entry), path.join(target, entry));
    else await rename(draft, target);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** The folder's name in the letters a role's name may have. */
async function roleName(target: string): Promise<string> {
  const name = path
    .basename(target)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  const builtIn = (await readdir(path.join(packageRoot, 'images/roles'))).map((file) => path.parse(file).name);
  if (name !== '' && !builtIn.includes(name)) return name;
  throw new PiimgError(
    name === ''
      ? `${target}: the project's role is named after the folder, and this name has no letter or digit`
      : `${target}: the project's role is named after the folder, and a role ${name} comes with piimg`,
    { exitCode: EXIT.usage, hint: 'Choose another name, like my-web.' },
  );
}

/** False when there is nothing; throws when there is something else than an empty folder. */
async function isEmptyFolder(target: string): Promise<boolean> {
  const found = await stat(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return false;
  if (found.isDirectory() && (await readdir(target)).length === 0) return true;
  throw new PiimgError(`${target} is ${found.isDirectory() ? 'not empty' : 'a file'}`, {
    exitCode: EXIT.usage,
    hint: 'piimg init wants a folder that is new or empty.',
  });
}
