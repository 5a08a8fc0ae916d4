// apt as a build asks it: in which archives, on lists of what age.
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { BaseDefinition } from '../base/definition.ts';
import { locateArchives, locateImageArchives } from '../base/mirror.ts';
import {
  haveLists,
  debootstrapMirror,
  hostArchives,
  updateLists,
  withApt,
  type Apt,
  type AptArchive,
  type AptWorld,
} from '../host/apt.ts';
import { digestOf } from '../lib/digest.ts';
import { PiimgError } from '../lib/errors.ts';
import { touch } from '../lib/touch.ts';
import type { ResolvedRole } from '../role/resolved.ts';
import type { ImageChoice } from './base-image.ts';
import type { ImageRecord } from './image-record.ts';

export interface LockRequest {
  role: ResolvedRole;
  base: BaseDefinition;
  cacheDir: string;
  mirror: string | undefined;
  offline: boolean;
  signal: AbortSignal;
  /** Of a base that is an image: what the user says of it. */
  choice?: ImageChoice;
}

/** The archives with their addresses: the role's after the base's, which an image names itself (`record`). */
export async function archivesFor(request: LockRequest, record?: ImageRecord): Promise<AptArchive[]> {
  const { base, mirror } = request;
  // A setting spares the question: the host's apt may not even work.
  const host = mirror === undefined && base.mirror === undefined ? await hostArchives() : [];
  const located =
    base.kind === 'packages'
      ? locateArchives(base, { mirror, last: await debootstrapMirror() }, host)
      : locateImageArchives(record?.archives ?? [], mirror ?? base.mirror, host);
  const own = request.role.aptSources.flatMap(({ name, uris, suites, components, keyring }) =>
    uris.map((uri) => ({ name, uri, suites, components, keyring: keyring.path })),
  );
  return [...located, ...own];
}

/** One resolution asks several times; the archive changes a few times a day. Milliseconds. */
export const FRESH = 5 * 60_000;

/** Runs `work` with apt on lists no older than `maxAge` milliseconds; offline, on the lists there are. */
export async function inWorld<T>(
  world: AptWorld,
  request: LockRequest,
  work: (apt: Apt) => Promise<T>,
  maxAge = FRESH,
): Promise<T> {
  const { cacheDir, offline, signal } = request;
  const addresses = world.archives.map(({ uri, suites, components, keyring }) => {
    // Lists that an image's keys have vouched for are not those that this machine's would.
    return { uri, suites, components, keyring: keyring.startsWith(cacheDir + path.sep) ? keyring : undefined };
  });
  const lists = path.join(cacheDir, 'apt', digestOf([world.architecture, addresses]).slice(0, 16));
  const folders = { tmp: path.join(cacheDir, 'tmp'), lists };
  if (offline && !(await haveLists(lists))) {
    throw new PiimgError('Offline, and no package lists were ever fetched', {
      hint: 'Build once without --offline; with its lock, later builds need no lists.',
    });
  }
  if (!offline && !(await isYounger(lists, maxAge))) await updateLists(world, folders, signal);
  // The time of the folder itself is when they were fetched.
  await touch(path.join(lists, 'lock'));
  return withApt(world, folders, work);
}

async function isYounger(lists: string, maxAge: number): Promise<boolean> {
  const info = await stat(lists).catch(() => undefined);
  return info !== undefined && Date.now() - info.mtimeMs < maxAge;
}
