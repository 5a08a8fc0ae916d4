// Finds role files by name: the user's own first, then the built-in ones.
import { access, readdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { EXIT, PiimgError } from '../lib/errors.ts';
import { nearest } from '../lib/suggest.ts';

/** Where roles, overlays and bases are looked for; the first folder that has one of that name wins. */
export interface RoleSearch {
  roleDirs: string[];
  overlayDirs: string[];
  baseDirs: string[];
}

/**
 * Where that is looked for which a role file names. `PROJECT/images/roles/x.yaml` has its own project's folders first, unless they are
 * searched anyway: it means the same from wherever it is built.
 */
export function searchFrom(file: string, search: RoleSearch): RoleSearch {
  const roles = dirname(file);
  const project = dirname(dirname(roles));
  if (roles !== join(project, 'images/roles') || search.roleDirs.includes(roles)) return search;
  return {
    roleDirs: [roles, ...search.roleDirs],
    overlayDirs: [join(project, 'overlays'), ...search.overlayDirs],
    baseDirs: [join(project, 'images/bases'), ...search.baseDirs],
  };
}

/** The name of the role in a file. */
export function roleName(file: string): string {
  return basename(file).replace(/\.ya?ml$/, '');
}

/** Whether a role is given by its file and not by its name. */
export function isRoleFile(nameOrFile: string): boolean {
  return /\.ya?ml$/.test(nameOrFile) || nameOrFile.includes('/');
}

/** The files that could be meant by `name`, the one to take first. */
export async function filesOfRole(name: string, { roleDirs }: RoleSearch): Promise<string[]> {
  const candidates = roleDirs.map((dir) => resolve(dir, `${name}.yaml`));
  const exist = await Promise.all(candidates.map((file) => exists(file)));
  return candidates.filter((_file, index) => exist[index]);
}

/** The names of all roles, sorted. */
export async function roleNames({ roleDirs }: RoleSearch): Promise<string[]> {
  const names = await Promise.all(roleDirs.map(yamlNames));
  return [...new Set(names.flat())].sort();
}

/** The file of the role a command was given. Throws PiimgError (usage) with the nearest name when there is none. */
export async function roleFileOf(nameOrFile: string, search: RoleSearch): Promise<string> {
  if (isRoleFile(nameOrFile)) return resolve(nameOrFile);
  const [file] = await filesOfRole(nameOrFile, search);
  if (file !== undefined) return file;
  const names = await roleNames(search);
  const meant = nearest(nameOrFile, names);
  throw new PiimgError(`There is no role \`${nameOrFile}\` in ${search.roleDirs.join(' or ')}`, {
    exitCode: EXIT.usage,
    hint: `${meant === undefined ? '' : `Did you mean \`${meant}\`? `}Roles: ${names.join(', ') || 'none'}.`,
  });
}

/** The folder of an overlay, or undefined; and for that case the names that exist. */
export async function findOverlay(name: string, overlayDirs: string[]): Promise<{ dir?: string; names: string[] }> {
  for (const dir of overlayDirs) {
    const candidate = resolve(dir, name);
    if (await exists(candidate)) return { dir: candidate, names: [] };
  }
  const entries = await Promise.all(overlayDirs.map((dir) => readdir(dir, { withFileTypes: true }).catch(() => [])));
  const folders = entries.flat().filter((entry) => entry.isDirectory());
  return { names: [...new Set(folders.map((entry) => entry.name))].sort() };
}

async function yamlNames(dir: string): Promise<string[]> {
  const entries = await readdir(dir).catch(() => []);
  return entries.filter((entry) => entry.endsWith('.yaml')).map((entry) => roleName(join(dir, entry)));
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
