// Free space: how much a folder's file system has, how it is called, and a clear word when it is not enough.
import { existsSync } from 'node:fs';
import { stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { PiimgError } from '../lib/errors.ts';

/** Bytes that will be written below a folder, which need not exist yet, and what they are for. */
export interface SpaceNeed {
  folder: string;
  bytes: number;
  what: string;
}

/** Bytes an ordinary user can still write there. */
async function freeSpace(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(existing(folder));
  return bavail * bsize;
}

/** Throws PiimgError when a file system lacks the room for what is to be written to it, saying how much is needed and free. */
export async function requireSpace(needs: SpaceNeed[], hint = ROOM): Promise<void> {
  for (const { folder, bytes, whats } of await byFileSystem(needs)) {
    const free = await freeSpace(folder);
    if (free >= bytes) continue;
    throw new PiimgError(`Too little free space in ${folder}: ${inGiB(bytes)} are needed, ${inGiB(free)} are free`, {
      detail: [...whats, await fileSystemOf(folder)].filter(Boolean).join('\n'),
      hint,
    });
  }
}

/** The error for a disk that became full all the same: names the file system that has the least room left. */
export async function diskFull(needs: SpaceNeed[], cause: unknown, hint = ROOM): Promise<PiimgError> {
  const all = await Promise.all(
    (await byFileSystem(needs)).map(async (need) => ({ ...need, free: await freeSpace(need.folder) })),
  );
  const [fullest] = all.sort((a, b) => a.free - a.bytes - (b.free - b.bytes));
  if (!fullest) return new PiimgError('The disk is full', { hint, cause });
  const { folder, bytes, free, whats } = fullest;
  return new PiimgError(`The disk is full: ${folder} has ${inGiB(free)} left; this needs about ${inGiB(bytes)} there`, {
    detail: [...whats, await fileSystemOf(folder)].filter(Boolean).join('\n'),
    hint,
    cause,
  });
}

/** Whether the system, or a program of ours by its own words (strerror), ran out of space. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ('code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')) return true;
  const words = error instanceof PiimgError ? `${error.message}\n${error.detail ?? ''}` : '';
  return /No space left on device|Disk quota exceeded/.test(words) || isDiskFull(error.cause);
}

const ROOM =
  'Make room (piimg cache prune --days 1), or choose another place: PIIMG_CACHE for the cache, --out for the image.';

async function byFileSystem(needs: SpaceNeed[]): Promise<{ folder: string; bytes: number; whats: string[] }[]> {
  const systems = new Map<number, { folder: string; bytes: number; whats: string[] }>();
  for (const { folder, bytes, what } of needs) {
    const { dev } = await stat(existing(folder));
    const system = systems.get(dev) ?? { folder, bytes: 0, whats: [] };
    system.bytes += bytes;
    system.whats.push(`${what}: ${inGiB(bytes)} in ${folder}`);
    systems.set(dev, system);
  }
  return [...systems.values()];
}

/** A second opinion, of `df`: which mounted file system that is and how full. Empty where it cannot tell. */
async function fileSystemOf(folder: string): Promise<string> {
  const real = existing(folder);
  const { getDiskInfo } = await import('./df.ts');
  const disks = await getDiskInfo().catch(() => []);
  const holds = (mounted: string): boolean => `${real}/`.startsWith(mounted.endsWith('/') ? mounted : `${mounted}/`);
  const [disk] = disks.filter(({ mounted }) => holds(mounted)).sort((a, b) => b.mounted.length - a.mounted.length);
  return disk ? `${folder} is on ${disk.filesystem}, mounted on ${disk.mounted}, ${disk.capacity} full` : '';
}

/** The folder, or the nearest one above it that exists. */
function existing(folder: string): string {
  let dir = path.resolve(folder);
  while (!existsSync(dir)) dir = path.dirname(dir);
  return dir;
}

function inGiB(bytes: number): string {
  return bytes < 1024 ** 3 ? `${Math.ceil(bytes / 1024 ** 2)} MiB` : `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
