// The content-addressed store of everything downloaded: each file lies under its sha256 and is never changed.
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { digestOfFile } from '../lib/digest.ts';
import { touch } from '../lib/touch.ts';

/** Something to download: `label` is how messages call it (package and version, artifact). */
export interface Wanted {
  url: string;
  sha256: string;
  size: number;
  label: string;
}

export interface Store {
  dir: string;
  tmp: string;
}

/** Where a file of this digest lies or would lie. */
export function storedPath(store: Store, sha256: string): string {
  return join(store.dir, sha256.slice(0, 2), sha256);
}

/** Which of `wanted` the store lacks (by presence and size: content is compared where a file is used). */
export async function missingFrom(store: Store, wanted: Wanted[]): Promise<Wanted[]> {
  const present = await Promise.all(
    wanted.map(async ({ sha256, size }) => {
      const info = await stat(storedPath(store, sha256)).catch(() => undefined);
      return info !== undefined && (size === 0 || info.size === size);
    }),
  );
  return wanted.filter((_, i) => !present[i]);
}

/** Moves a file to its place when it is what `sha256` says; false when it is not, or not there. */
export async function keepIfWhole(store: Store, file: string, sha256: string): Promise<boolean> {
  if ((await digestIfThere(file)) !== sha256) return false;
  await keep(store, file, sha256);
  return true;
}

/** Moves a file of this digest to its place. */
export async function keep(store: Store, file: string, sha256: string): Promise<void> {
  const target = storedPath(store, sha256);
  await mkdir(dirname(target), { recursive: true });
  await rename(file, target);
}

/** Notes that a build uses these files now: what `cache prune` goes by. */
export async function markUsed(store: Store, digests: string[]): Promise<void> {
  await Promise.all(digests.map((sha256) => touch(storedPath(store, sha256))));
}

/** Reads the stored file and says whether it is what its name says; a damaged one is removed. */
export async function verifyStored(store: Store, sha256: string): Promise<boolean> {
  const path = storedPath(store, sha256);
  if ((await digestIfThere(path)) === sha256) return true;
  await rm(path, { force: true });
  return false;
}

/** The sha256 of a file's content; undefined when there is no such file. */
export async function digestIfThere(path: string): Promise<string | undefined> {
  try {
    return await digestOfFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
