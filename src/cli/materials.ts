// Brings together what a plan is made of: downloads into the store, native tools out of it.
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Lock } from '../base/lock.ts';
import type { AptArchive } from '../host/apt.ts';
import { download } from '../host/download.ts';
import { markUsed, missingFrom, storedPath, verifyStored, type Store, type Wanted } from '../host/store.ts';
import type { LockedPackage } from '../image/manifest.ts';
import { digestOf } from '../lib/digest.ts';
import { PiimgError } from '../lib/errors.ts';
import type { Progress } from '../lib/progress.ts';
import type { ResolvedRole } from '../role/resolved.ts';
import { makeNativeTools, nativeToolsAt, TOOLS_FORMAT } from '../sandbox/native-tools.ts';
import { openSandbox, type Sandbox } from '../sandbox/root.ts';
import { nativeDigests, toolsDamage } from '../sandbox/tools-record.ts';
import { readImageRecord } from './image-record.ts';
import { archivesFor, type LockRequest } from './apt-world.ts';
import { HOST_ARCHITECTURE } from '../sandbox/shadow.ts';

/** Every file a lock names, as downloads; those of archives that are not among `archives` have no address. */
export function wantedBy(lock: Lock, role: ResolvedRole, archives: AptArchive[]): Wanted[] {
  const packages = [
    ...(lock.tools[HOST_ARCHITECTURE] ?? []),
    ...lock.basePackages,
    ...lock.rolePackages,
    ...(lock.buildPackages ?? []),
  ];
  return [
    ...packages.map((locked) => ({
      url: addressOf(locked, archives),
      sha256: locked.sha256,
      size: locked.size,
      label: `${locked.name} ${locked.version}`,
    })),
    ...role.artifacts.map(({ url, sha256 }) => ({ url, sha256, size: 0, label: url })),
  ];
}

function addressOf(locked: LockedPackage, archives: AptArchive[]): string {
  const archive = archives.find(({ name }) => name === locked.source);
  const file = (locked.filename ?? '').split('/').map(encodeURIComponent).join('/');
  return `${archive?.uri.replace(/\/+$/, '') ?? ''}/${file}`;
}

/** Downloads what the store lacks of what a lock names; offline, names it. Asks where archives are only when something is missing. */
export async function fetchMaterials(
  store: Store,
  lock: Lock,
  request: LockRequest,
  progress: Progress,
): Promise<void> {
  await progress.step('download', async (step) => {
    const wanted = wantedBy(lock, request.role, []);
    const missing = await missingFrom(store, wanted);
    await markUsed(
      store,
      wanted.map(({ sha256 }) => sha256),
    );
    if (missing.length === 0) {
      step.cached(`${wanted.length} files in the store`);
      return;
    }
    if (request.offline) {
      throw new PiimgError(`Offline, and ${missing.length} of ${wanted.length} files are not in the store`, {
        detail: missing.map(({ label }) => label).join('\n'),
        hint: 'Build once without --offline.',
      });
    }
    const record = lock.image && (await readImageRecord(request.cacheDir, lock.image.sha256));
    await download(store, wantedBy(lock, request.role, await archivesFor(request, record)), step, request.signal);
  });
}

/** The key of the native tools a lock describes. */
export function toolsKey(lock: Lock): string {
  const packages = lock.tools[HOST_ARCHITECTURE] ?? [];
  const same = packages.filter(({ name }) => sameUpstream(lock, name)).map(({ name }) => name);
  return digestOf([TOOLS_FORMAT, HOST_ARCHITECTURE, packages.map(({ sha256 }) => sha256), same]);
}

/** Where the native tools of a lock lie, once they are made. */
export function toolsFolder(lock: Lock, cacheDir: string): string {
  return path.join(cacheDir, 'tools', toolsKey(lock));
}

/** The sandbox with the lock's native tools, made from the store when they are not there yet. */
export async function prepareSandbox(
  lock: Lock,
  store: Store,
  cacheDir: string,
  { jobs, progress }: { jobs: number; progress: Progress },
): Promise<Sandbox> {
  const dir = toolsFolder(lock, cacheDir);
  await progress.step('native tools', async (step) => {
    const damage = await toolsDamage(dir);
    if (damage === undefined) {
      step.cached(path.basename(dir).slice(0, 12));
      return;
    }
    if (existsSync(dir)) step.note(`the native tools in the cache are damaged (${damage}): made anew`);
    const packages = lock.tools[HOST_ARCHITECTURE] ?? [];
    for (const { name, sha256 } of packages) {
      if (!(await verifyStored(store, sha256))) throw damagedInStore(name, sha256);
    }
    const debs = new Map(packages.map(({ name, sha256 }) => [name, storedPath(store, sha256)]));
    await makeNativeTools(dir, debs, (name) => sameUpstream(lock, name), { jobs, step });
  });
  return openSandbox(nativeToolsAt(dir), await nativeDigests(dir));
}

function damagedInStore(name: string, sha256: string): PiimgError {
  return new PiimgError(`The stored package ${name} is damaged`, { cause: { stored: sha256 } });
}

/** Whether the image has this package in the version of the tools; a rebuild for one architecture (+b1) changes nothing upstream. */
function sameUpstream(lock: Lock, name: string): boolean {
  const version = (packages: LockedPackage[]): string | undefined =>
    packages.find((locked) => locked.name === name)?.version.replace(/\+b\d+$/, '');
  const inImage = lock.image?.packages[name]?.replace(/\+b\d+$/, '');
  const wanted = version(lock.basePackages) ?? inImage;
  return wanted !== undefined && wanted === version(lock.tools[HOST_ARCHITECTURE] ?? []);
}
