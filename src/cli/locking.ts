// The lock of a build: reused where it fits the role and the base, else resolved.
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { BaseDefinition } from '../base/definition.ts';
import { readLock, writeLock, type Lock } from '../base/lock.ts';
import { asInstalled, resolvePackages, type Resolution } from '../base/resolve.ts';
import type { AptArchive } from '../host/apt.ts';
import { storedPath } from '../host/store.ts';
import { packageRoot } from '../host/package-root.ts';
import type { LockedPackage } from '../image/manifest.ts';
import { digestOf } from '../lib/digest.ts';
import { PiimgError } from '../lib/errors.ts';
import type { Step } from '../lib/progress.ts';
import { touch } from '../lib/touch.ts';
import { requireUnchanged } from '../layers/inputs.ts';
import { archivesFor, FRESH, inWorld, type LockRequest } from './apt-world.ts';
import { debianArchives, hasThatImage, readImageOf, statusWithout, type ReadImage } from './lock-image.ts';
import { clockFile, isPast, readClock, requirePast } from './lock-clock.ts';
import type { ResolvedRole } from '../role/resolved.ts';
import { HOST_ARCHITECTURE, TOOL_PACKAGES } from '../sandbox/shadow.ts';

/** Beside a role of the user's; beside the output for one that comes with piimg. */
export function lockFileOf(role: ResolvedRole, out: string): string {
  const file = role.sources.at(-1)?.path ?? '';
  return file.startsWith(packageRoot + path.sep)
    ? path.join(path.dirname(out), `${role.name}.lock.json`)
    : file.replace(/\.ya?ml$/, '.lock.json');
}

/** What `rebuild:` of an npm application needs (node-gyp(1)): compilers, make, python and the headers of the image's own Node.js. */
const BUILD_PACKAGES = ['g++', 'gcc', 'make', 'python3', 'libnode-dev', 'pkgconf'];

const needsCompilers = ({ npm }: ResolvedRole): boolean => npm.some(({ rebuild }) => rebuild.length > 0);

/** What a lock answers: it fits as long as these are equal. */
export function requestDigests(role: ResolvedRole, base: BaseDefinition): Lock['request'] {
  const { packages, removePackages, debs, aptSources } = role;
  return {
    base: digestOf([base.packages, base.kind === 'packages' ? base.archives : base.image, TOOL_PACKAGES]),
    role: digestOf({
      packages,
      removePackages,
      debs: debs.map(({ sha256 }) => sha256),
      ...(needsCompilers(role) && { build: BUILD_PACKAGES }),
      aptSources: aptSources.map(({ keyring, ...source }) => ({ ...source, keyring: keyring.sha256 })),
    }),
  };
}

/**
 * The lock in `file` when it fits; else a new one, written there when `keep` is set. What an old lock says of the base stays when only the role
 * has changed. With `locked`, a lock that is missing or does not fit is an error; one of the future always is.
 */
export async function obtainLock(
  file: string,
  request: LockRequest,
  { locked, keep }: { locked: boolean; keep: boolean },
  step: Step,
): Promise<Lock> {
  const found = await readLock(file);
  if (found) requirePast(file, found);
  const changed = found ? whatChanged(found, request) : undefined;
  if (found && changed === undefined) {
    await touch(clockFile(found, request.cacheDir));
    step.cached(path.relative(process.cwd(), file));
    return found;
  }
  if (locked) {
    throw new PiimgError(found ? `${file} does not fit: ${changed}` : `There is no ${file}`, {
      hint: 'Build once without --locked, or run `piimg update`.',
    });
  }
  const lock = await resolveLock(request, step, found, { keepBase: true });
  if (keep) {
    await mkdir(path.dirname(file), { recursive: true });
    await writeLock(file, lock);
  }
  return lock;
}

/** Why a lock does not fit the request; undefined when it does. */
function whatChanged(lock: Lock, request: LockRequest): string | undefined {
  const { role } = request;
  if (lock.base !== request.base.name)
    return `it is for the base ${lock.base}, the role builds on ${request.base.name}`;
  if (!hasThatImage(lock, request)) return 'it pins another image than the one that is asked for';
  if (!hasSameBase(lock, request)) return `the base ${lock.base} asks for other packages now`;
  if (lock.request.role !== requestDigests(role, request.base).role) return 'the role asks for other packages now';
  if (!lock.tools[HOST_ARCHITECTURE]) return `it names no build tools for this machine (${HOST_ARCHITECTURE})`;
  if (digestOf([lock.artifacts, lock.npm]) !== digestOf([lockedArtifacts(role), lockedNpm(role)]))
    return 'the role names other artifacts or npm packages now';
  return undefined;
}

function hasSameBase(lock: Lock, request: LockRequest): boolean {
  const { base, role } = request;
  if (base.kind === 'image' && !(lock.image && hasThatImage(lock, request))) return false;
  return lock.base === base.name && lock.request.base === requestDigests(role, base).base;
}

const lockedArtifacts = ({ artifacts }: ResolvedRole): Lock['artifacts'] =>
  artifacts.map(({ url, sha256 }) => ({ url, sha256 }));

const lockedNpm = ({ npm }: ResolvedRole): Lock['npm'] =>
  npm.map(({ destination, files }) => ({
    destination,
    lockfile: files.find(({ path: name }) => name === 'package-lock.json')?.file.sha256 ?? '',
  }));

/**
 * Resolves everything; with `keepBase`, and an old lock of the same base, only what that does not have: the role's packages when the role
 * has changed, the build tools when they are not there for this machine's architecture. The build's clock stays that of the base.
 */
export async function resolveLock(
  request: LockRequest,
  step: Step,
  old: Lock | undefined,
  { keepBase }: { keepBase: boolean },
): Promise<Lock> {
  const { role, base } = request;
  const keep = keepBase && old && hasSameBase(old, request) ? old : undefined;
  const image = await readImageOf(base, request, step, keep?.image);
  const archives = await archivesFor(request, image?.record);
  const own = new Set(role.aptSources.map(({ name }) => name));
  const ofBase = archives.filter(({ name }) => !own.has(name));
  const debian = image ? debianArchives(ofBase, image) : ofBase;
  step.update({ message: 'package lists' });
  const basePart = keep
    ? await withHostTools(keep, request, debian)
    : await resolveBase(request, { ofBase, debian, image }, step, old);
  step.update({ message: `packages of ${role.name}` });
  const digests = requestDigests(role, base);
  const rolePart =
    keep?.request.role === digests.role
      ? { packages: keep.rolePackages, removed: keep.removed, build: keep.buildPackages ?? [] }
      : await resolveRolePackages(request, archives, basePart.basePackages, image);
  // Else the lock would give one file's digest with what another one asks for.
  await requireUnchanged([...role.debs, ...role.aptSources.map(({ keyring }) => keyring)]);
  return {
    version: 1,
    base: base.name,
    created: basePart.created,
    checked: basePart.checked ?? basePart.created,
    request: digests,
    ...(image && { image: image.locked }),
    tools: basePart.tools,
    essential: basePart.essential,
    basePackages: basePart.basePackages,
    rolePackages: rolePart.packages,
    ...(rolePart.build.length > 0 && { buildPackages: rolePart.build }),
    removed: rolePart.removed,
    artifacts: lockedArtifacts(role),
    npm: lockedNpm(role),
  };
}

type BasePart = Pick<Lock, 'created' | 'checked' | 'tools' | 'essential' | 'basePackages'>;

async function resolveBase(
  request: LockRequest,
  { ofBase, debian, image }: { ofBase: AptArchive[]; debian: AptArchive[]; image: ReadImage | undefined },
  step: Step,
  old: Lock | undefined,
): Promise<BasePart> {
  const status = image ? await statusWithout(image, []) : '';
  const target = { architecture: request.base.architecture, archives: ofBase, status };
  step.update({ message: 'packages of the base and of the native tools' });
  // What is essential, an image has.
  const least = image ? [] : ['?essential'];
  const [tools, part] = await Promise.all([
    resolveTools(request, debian),
    inWorld(target, request, async (apt) => ({
      essential: (await resolvePackages(apt, least, ofBase)).packages.map(({ name }) => name),
      basePackages: (await resolvePackages(apt, [...least, ...request.base.packages], ofBase)).packages,
    })),
  ]);
  const checked = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const clock = clockFile({ ...part, image: image?.locked }, request.cacheDir);
  const same = old && clockFile(old, request.cacheDir) === clock;
  const created = same && isPast(old) ? old.created : await readClock(clock, checked);
  return { ...part, tools: { [HOST_ARCHITECTURE]: tools }, created, checked };
}

async function resolveTools(request: LockRequest, archives: AptArchive[]): Promise<LockedPackage[]> {
  const host = { architecture: HOST_ARCHITECTURE, archives, status: '' };
  return (await inWorld(host, request, (apt) => resolvePackages(apt, TOOL_PACKAGES, archives))).packages;
}

/** A lock made on a machine of another architecture gets this one's build tools beside those it has. */
async function withHostTools(lock: Lock, request: LockRequest, archives: AptArchive[]): Promise<BasePart> {
  if (lock.tools[HOST_ARCHITECTURE]) return lock;
  return { ...lock, tools: { ...lock.tools, [HOST_ARCHITECTURE]: await resolveTools(request, archives) } };
}

async function resolveRolePackages(
  request: LockRequest,
  archives: AptArchive[],
  base: LockedPackage[],
  image: ReadImage | undefined,
): Promise<Resolution & { build: LockedPackage[] }> {
  const { role } = request;
  const words = [
    ...role.packages.map(({ name, version }) => (version === undefined ? name : `${name}=${version}`)),
    ...role.debs.map(({ path: file }) => file),
    ...role.removePackages.map((name) => `${name}-`),
  ];
  if (words.length === 0 && !needsCompilers(role)) return { packages: [], removed: [], build: [] };
  const world = { architecture: request.base.architecture, archives, status: '' };
  const store = { dir: path.join(request.cacheDir, 'store'), tmp: '' };
  const stored = (sha256: string): string => storedPath(store, sha256);
  /** Resolves on top of packages that are there, on lists no older than `maxAge`. */
  const resolve = async (
    there: LockedPackage[],
    wanted: string[],
    { removed = [], maxAge = FRESH }: { removed?: string[]; maxAge?: number } = {},
  ): Promise<Resolution> => {
    const added = await inWorld(world, request, (apt) => asInstalled(apt, there, stored), maxAge);
    const gone = image ? [...there.map(({ name }) => name), ...removed] : [];
    const status = image ? `${await statusWithout(image, gone)}${added}` : added;
    return inWorld({ ...world, status }, request, (apt) => resolvePackages(apt, wanted, archives), Infinity);
  };
  const own = await resolve(base, words);
  if (!needsCompilers(role)) return { ...own, build: [] };
  const there = [...base, ...own.packages].filter(({ name }) => !own.removed.includes(name));
  const { removed } = own;
  return { ...own, build: (await resolve(there, BUILD_PACKAGES, { removed, maxAge: Infinity })).packages };
}
