// Whether a card lets anybody in: users of the role, and those of the seed that the image carries.
import type { ImageHeader } from '../image/header.ts';
import { PiimgError } from '../lib/errors.ts';
import type { ResolvedRole } from '../role/resolved.ts';
import { describeSeed } from '../seed/describe.ts';
import type { SearchPaths } from './context.ts';

export interface Logins {
  /** Users of the role with a key: whatever seed a card gets, they stay. */
  role: string[];
  /** Users with a key or a password in the seed that the image carries: another seed takes its place. */
  seed: string[];
  /** What tells of the role's: the image itself, the role of that name as it lies here now, or nothing. */
  evidence: 'image' | 'role' | 'nothing';
}

/** What an image tells of who may log in; `userData` is its own, where it could be read. */
export interface LoginImage {
  header: Pick<ImageHeader, 'role' | 'logins'>;
  userData?: string | undefined;
}

/** Who can log in to a card of `image`. A role that is not found, or not valid, is no evidence. */
export async function loginOf({ header, userData }: LoginImage, search: SearchPaths): Promise<Logins> {
  const seed = userData === undefined ? [] : loginsOfSeed(userData);
  if (header.logins !== undefined) return { role: header.logins, seed, evidence: 'image' };
  const role = await loginsOfRole(header.role, search);
  return { role: role ?? [], seed, evidence: role === undefined ? 'nothing' : 'role' };
}

function loginsOfSeed(userData: string): string[] {
  const { users } = describeSeed({ 'user-data': userData });
  return users.filter(({ keys, password }) => keys.length > 0 || password).map(({ name }) => name);
}

/** A name of roles (src/role/schema/common.ts): an image must not have any other file of this computer read. */
const ROLE_NAME = /^[a-z0-9][a-z0-9._-]*$/;

async function loginsOfRole(name: string, search: SearchPaths): Promise<string[] | undefined> {
  if (!ROLE_NAME.test(name) || /\.ya?ml$/.test(name)) return undefined;
  // Images of old versions only are asked about so: no other flash waits for the language of roles to be loaded.
  const [{ loadBase }, { resolveRole }] = await Promise.all([
    import('../base/definition.ts'),
    import('../role/resolve.ts'),
  ]);
  try {
    const { role } = await resolveRole(name, search, { load: loadBase });
    return loginsOf(role);
  } catch (error) {
    if (error instanceof PiimgError) return undefined;
    throw error;
  }
}

/** Those whom ssh lets in: keys in their home, be it from an overlay, and a shell that is one. The build notes them in the header. */
export function loginsOf({ users, files }: Pick<ResolvedRole, 'users' | 'files'>): string[] {
  const paths = new Set(files.map(({ path }) => `/${path.replace(/^\/+/, '')}`));
  return users
    .filter(({ home, shell }) => paths.has(`${home}/.ssh/authorized_keys`) && !/\/(nologin|false)$/.test(shell))
    .map(({ name }) => name);
}
