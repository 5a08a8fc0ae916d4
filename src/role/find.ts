// Finds role files by name: the user's own first, then the built-in ones.
import { access, readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { EXIT, PiimgError } from '../lib/errors.ts';
import { nearest } from '../lib/suggest.ts';
import { loadRole } from './load.ts';
import type { Issue } from '../lib/yaml/report.ts';

/** Where roles and overlays are looked for; the first folder that has one of that name wins. */
export interface RoleSearch {
  roleDirs: string[];
  overlayDirs: string[];
}

/** A role as `piimg roles` lists it; `issues` when its file is not valid by itself. */
export interface RoleSummary {
  name: string;
  file: string;
  summary: string;
  issues: Issue[];
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

/** All roles with their summaries; those that are not valid are listed too. */
export async function listRoles(search: RoleSearch): Promise<RoleSummary[]> {
  const roles: RoleSummary[] = [];
  for (const name of await roleNames(search)) {
    const [file] = await filesOfRole(name, search);
    if (file === undefined) continue;
    const { role, issues } = await loadRole(file);
    roles.push({ name, file, summary: role?.summary ?? '', issues });
  }
  return roles;
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
export async function findOverlay(
  name: string,
  { overlayDirs }: RoleSearch,
): Promise<{ dir?: string; names: string[] }> {
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
