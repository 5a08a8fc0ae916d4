// The lock of a build: reused where it fits the role and the base, else resolved.
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { BaseDefinition } from '../base/definition.ts';
import { readLock, writeLock, type Lock } from '../base/lock.ts';
import { locateArchives } from '../base/mirror.ts';
import { asInstalled, resolvePackages, type Resolution } from '../base/resolve.ts';
import {
  haveLists,
  hostArchives,
  updateLists,
  withApt,
  type Apt,
  type AptArchive,
  type AptWorld,
} from '../host/apt.ts';
import { packageRoot } from '../host/package-root.ts';
import type { LockedPackage } from '../image/manifest.ts';
import { digestOf } from '../lib/digest.ts';
import { PiimgError } from '../lib/errors.ts';
import type { Step } from '../lib/progress.ts';
import type { ResolvedRole } from '../role/resolved.ts';
import { TOOL_PACKAGES } from '../sandbox/shadow.ts';

/** Debian's names of the architectures Node runs on here. */
export const HOST_ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'amd64';

export interface LockRequest {
  role: ResolvedRole;
  base: BaseDefinition;
  cacheDir: string;
  mirror: string | undefined;
  offline: boolean;
  signal: AbortSignal;
}

/** Beside a role of the user's; beside the output for one that comes with piimg. */
export function lockFileOf(role: ResolvedRole, out: string): string {
  const file = role.sources.at(-1)?.path ?? '';
  return file.startsWith(packageRoot + path.sep)
    ? path.join(path.dirname(out), `${role.name}.lock.json`)
    : file.replace(/\.ya?ml$/, '.lock.json');
}

/** What a lock answers: it fits as long as these are equal. */
export function requestDigests(role: ResolvedRole, base: BaseDefinition): Lock['request'] {
  const { packages, removePackages, debs, aptSources } = role;
  return {
    base: digestOf([base.packages, base.archives, TOOL_PACKAGES]),
    role: digestOf({
      packages,
      removePackages,
      debs: debs.map(({ sha256 }) => sha256),
      aptSources: aptSources.map(({ keyring, ...source }) => ({ ...source, keyring: keyring.sha256 })),
    }),
  };
}

/** The archives with their addresses, the base's and the role's. */
export async function archivesFor(request: LockRequest): Promise<AptArchive[]> {
  const located = locateArchives(request.base, { mirror: request.mirror }, await hostArchives());
  const own = request.role.aptSources.flatMap(({ name, uris, suites, components, keyring }) =>
    uris.map((uri) => ({ name, uri, suites, components, keyring: keyring.path })),
  );
  return [...located, ...own];
}

/**
 * The lock in `file` when it fits; else a new one, written there when `keep` is set. What an old lock says of the base stays when only the role
 * has changed. With `locked`, a lock that is missing or does not fit is an error.
 */
export async function obtainLock(
  file: string,
  request: LockRequest,
  { locked, keep }: { locked: boolean; keep: boolean },
  step: Step,
): Promise<Lock> {
  const wanted = requestDigests(request.role, request.base);
  const found = await readLock(file);
  const fits =
    found?.base === request.base.name && found.request.base === wanted.base && found.tools[HOST_ARCHITECTURE];
  if (found && fits && found.request.role === wanted.role) {
    step.cached(path.relative(process.cwd(), file));
    return found;
  }
  if (locked) {
    throw new PiimgError(found ? `${file} was made for other packages than the role names` : `There is no ${file}`, {
      hint: 'Build once without --locked, or run `piimg update`.',
    });
  }
  const lock = await resolveLock(request, step, fits ? found : undefined);
  if (keep) {
    await mkdir(path.dirname(file), { recursive: true });
    await writeLock(file, lock);
  }
  return lock;
}

/** Resolves everything; with `keep`, only what the role adds to the base of that lock. */
export async function resolveLock(request: LockRequest, step: Step, keep?: Lock): Promise<Lock> {
  const { role, base } = request;
  const archives = await archivesFor(request);
  const own = new Set(role.aptSources.map(({ name }) => name));
  const debian = archives.filter(({ name }) => !own.has(name));
  step.update({ message: 'package lists' });
  const basePart = keep ?? (await resolveBase(request, debian, step));
  step.update({ message: `packages of ${role.name}` });
  const rolePart = await resolveRolePackages(request, archives, basePart.basePackages);
  return {
    version: 1,
    base: base.name,
    created: basePart.created,
    request: requestDigests(role, base),
    tools: basePart.tools,
    essential: basePart.essential,
    basePackages: basePart.basePackages,
    rolePackages: rolePart.packages,
    removed: rolePart.removed,
    artifacts: role.artifacts.map(({ url, sha256 }) => ({ url, sha256 })),
    npm: role.npm.map(({ destination, files }) => ({
      destination,
      lockfile: files.find(({ path: name }) => name === 'package-lock.json')?.file.sha256 ?? '',
    })),
  };
}

type BasePart = Pick<Lock, 'created' | 'tools' | 'essential' | 'basePackages'>;

async function resolveBase(request: LockRequest, archives: AptArchive[], step: Step): Promise<BasePart> {
  const target = { architecture: request.base.architecture, archives, status: '' };
  const host = { ...target, architecture: HOST_ARCHITECTURE };
  step.update({ message: 'packages of the base and of the native tools' });
  const [tools, base] = await Promise.all([
    inWorld(host, request, (apt) => resolvePackages(apt, TOOL_PACKAGES, archives)),
    inWorld(target, request, async (apt) => ({
      essential: (await resolvePackages(apt, ['?essential'], archives)).packages.map(({ name }) => name),
      basePackages: (await resolvePackages(apt, ['?essential', ...request.base.packages], archives)).packages,
    })),
  ]);
  const part = { ...base, tools: { [HOST_ARCHITECTURE]: tools.packages } };
  return { ...part, created: await firstSeen(part, request.cacheDir) };
}

/**
 * The build's clock, in whole seconds: when this very set of packages was first resolved here. Roles whose locks are made on different days
 * from the same packages thus share the base's layers, whose files carry that time.
 */
async function firstSeen(part: Omit<BasePart, 'created'>, cacheDir: string): Promise<string> {
  const file = path.join(cacheDir, 'bases', digestOf(part));
  const known = await readFile(file, 'utf8').catch(() => undefined);
  if (known !== undefined) return known;
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, now);
  return now;
}

async function resolveRolePackages(
  request: LockRequest,
  archives: AptArchive[],
  base: LockedPackage[],
): Promise<Resolution> {
  const { role } = request;
  const words = [
    ...role.packages.map(({ name, version }) => (version === undefined ? name : `${name}=${version}`)),
    ...role.debs.map(({ path: file }) => file),
    ...role.removePackages.map((name) => `${name}-`),
  ];
  if (words.length === 0) return { packages: [], removed: [] };
  const world = { architecture: request.base.architecture, archives, status: '' };
  const status = await inWorld(world, request, (apt) => asInstalled(apt, base));
  return inWorld({ ...world, status }, request, (apt) => resolvePackages(apt, words, archives), false);
}

/** Runs `work` with apt on fresh lists; offline, on the lists there are. */
async function inWorld<T>(
  world: AptWorld,
  request: LockRequest,
  work: (apt: Apt) => Promise<T>,
  refresh = true,
): Promise<T> {
  const { cacheDir, offline, signal } = request;
  const addresses = world.archives.map(({ uri, suites, components }) => ({ uri, suites, components }));
  const lists = path.join(cacheDir, 'apt', digestOf([world.architecture, addresses]).slice(0, 16));
  const folders = { tmp: path.join(cacheDir, 'tmp'), lists };
  if (offline && !(await haveLists(lists))) {
    throw new PiimgError('Offline, and no package lists were ever fetched', {
      hint: 'Build once without --offline; with its lock, later builds need no lists.',
    });
  }
  if (!offline && refresh && !(await fetchedJustNow(lists))) await updateLists(world, folders, signal);
  return withApt(world, folders, work);
}

/** One resolution asks several times; the archive changes a few times a day. */
async function fetchedJustNow(lists: string): Promise<boolean> {
  const info = await stat(lists).catch(() => undefined);
  return info !== undefined && Date.now() - info.mtimeMs < 5 * 60_000;
}
