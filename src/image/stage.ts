// The stage: both file systems, but for the seed and what files of the role's own change, kept so that a rebuild need not make them again.
import {
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
  type FileHandle,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { digestOf, sha256 } from '../lib/digest.ts';
import type { Step } from '../lib/progress.ts';
import { settled } from '../lib/settled.ts';
import { touch } from '../lib/touch.ts';
import type { Layer } from '../layers/layer.ts';
import { BMAP_BLOCK } from './bmap.ts';
import { crcOfRanges } from './digest.ts';
import { ext4UsedRanges } from './ext4.ts';
import { fatUsedRanges, openFat } from './fat.ts';
import { hex32, type ImageIds } from './ids.ts';
import { SECTOR } from './mbr.ts';
import type { Partition } from './manifest.ts';
import type { MergedEntry } from './merge.ts';
import { inPieces, readerOf, wholeBlocks, type ByteRange } from './ranges.ts';

/** Raised when the same content would make other file systems: it is part of every key. */
const STAGE_FORMAT = 4;

export interface StageCache {
  dir: string;
  /** For work in progress, on the same file system. */
  tmp: string;
  /** Makes every stage anew. */
  fresh: boolean;
}

/** The files of the boot partition. */
export interface BootFiles {
  /** Those of layers. */
  kept: MergedEntry[];
  added: { path: string; content: Buffer }[];
  /** Names of those that are written before all others. */
  first: string[];
}

/** What a stage is: the layers and files in it, and all that decides about the bytes of their file systems. */
export interface StageContent {
  layers: Layer[];
  bootFiles: BootFiles;
  /** Bytes of the whole image; the file systems lie where they will lie there. */
  size: number;
  partitions: [Partition, Partition];
  ids: ImageIds;
  sourceDateEpoch: number;
}

/** What lies beside a stage: its blocks in use and their checksums. */
interface StageIndex {
  key: string;
  size: number;
  ranges: ByteRange[];
  /** Of each range. */
  crc32: string[];
  /** The digest of all this: a wrong range would be copied to a wrong place. */
  digest: string;
}

/**
 * Copies the stage to its place in `image`, which is all zeros there. One that is missing is made by `make`, in the file it is
 * given; one that is damaged is made anew, and that is noted.
 */
export async function copyStage(
  cache: StageCache,
  content: StageContent,
  image: string,
  step: Pick<Step, 'note'>,
  make: (file: string) => Promise<void>,
): Promise<void> {
  const { layers, bootFiles, ...rest } = content;
  const { kept, added, first } = bootFiles;
  // A layer's key stands for the tools as well, mke2fs among them; its digest for what they made.
  const names = layers.map(({ index }) => [index.key, index.digest]);
  const boot = [kept.map(({ entry }) => entry), added.map(({ path, content: bytes }) => [path, sha256(bytes)]), first];
  const key = `${diskOf(content)}${digestOf({ format: STAGE_FORMAT, layers: names, boot, ...rest })}`;
  const dir = join(cache.dir, key);

  if (!cache.fresh && (await readIndex(dir, key))) {
    if ((await stageDamage(dir, key, image)) === undefined) {
      await touch(join(dir, 'stage.json'));
      return;
    }
    // Whoever cleans the cache up, or makes the same stage, may have taken it away in between.
    if (await readIndex(dir, key)) step.note('the cached file systems are damaged: made anew');
  }
  await makeStage(cache, dir, { key, ...content }, make, image);
}

/** Why the stage in `dir` is damaged, if it is; with `to`, it is copied there as well. Throws what has nothing to do with the stage. */
export async function stageDamage(dir: string, key: string, to?: string): Promise<string | undefined> {
  const index = await readIndex(dir, key);
  if (!index) return 'its index cannot be read';
  const image = join(dir, 'stage.img');
  const sums = to === undefined ? crcOfRanges(image, index.ranges) : copied(image, index.ranges, to);
  const found = await sums.catch((error: NodeJS.ErrnoException) => {
    // Too short, gone, or not to be read; all else is not the stage's fault.
    if (error instanceof RangeError || error.path === image || error.syscall === 'read') return [];
    throw error;
  });
  return isDeepStrictEqual(found, index.crc32) ? undefined : 'its checksums differ';
}

/**
 * Copies the ranges to the same places of `to`; returns their checksums. Whoever changes that file next syncs it: the disk begins
 * with that at once.
 */
async function copied(from: string, ranges: ByteRange[], to: string): Promise<string[]> {
  const file = await open(to, 'r+');
  try {
    return await flushing(file, crcOfRanges(from, ranges, to));
  } finally {
    await file.close();
  }
}

/** What `work` comes to, which writes to `file`: the disk begins with that at once, not only when it is synced in the end. */
async function flushing<T>(file: FileHandle, work: Promise<T>): Promise<T> {
  const state = { working: true };
  const flush = async (): Promise<void> => {
    while (state.working) await file.datasync();
  };
  return (await settled([work.finally(() => (state.working = false)), flush()]))[0];
}

/** The index of the stage in `dir`, if a complete one is there. */
async function readIndex(dir: string, key: string): Promise<StageIndex | undefined> {
  const text = await readFile(join(dir, 'stage.json'), 'utf8').catch(() => '{}');
  const image = await stat(join(dir, 'stage.img')).catch(() => undefined);
  try {
    const index = JSON.parse(text) as StageIndex;
    const { digest, ...content } = index;
    return index.key === key && index.size === image?.size && digest === digestOf(content) ? index : undefined;
  } catch {
    return undefined;
  }
}

/** Complete or not at all: it is made elsewhere, copied from there to `target`, and renamed. */
async function makeStage(
  cache: StageCache,
  dir: string,
  content: StageContent & { key: string },
  make: (file: string) => Promise<void>,
  target: string,
): Promise<void> {
  const { key, size, partitions } = content;
  const [boot, root] = partitions;
  await mkdir(cache.tmp, { recursive: true });
  await mkdir(dirname(dir), { recursive: true });
  // Named after this process, so that a later one can tell whether it still runs.
  const work = await mkdtemp(join(cache.tmp, `${process.pid}-`));
  const old = `${work}-old`;
  const image = join(work, 'stage.img');
  try {
    const file = await open(image, 'w+');
    try {
      await file.truncate(size);
      await make(image);
      const read = readerOf(file);
      const used = [
        ...(await fatUsedRanges(await openFat(read, boot.start * SECTOR))),
        ...(await ext4UsedRanges(read, root.start * SECTOR)),
      ];
      const ranges = wholeBlocks(used, BMAP_BLOCK).flatMap(inPieces);
      // The stage itself need not reach the disk: its checksums tell.
      const crc32 = await copied(image, ranges, target);
      const index = { key, size, ranges, crc32 };
      await writeFile(
        join(work, 'stage.json'),
        JSON.stringify({ ...index, digest: digestOf(index) } satisfies StageIndex),
      );
    } finally {
      await file.close();
    }
    // What is there is damaged, or another build's: the same.
    await rename(dir, old).catch(() => {});
    await rename(work, dir).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
    await removeEarlier(cache, content, key);
  } finally {
    await Promise.all([work, old].map((left) => rm(left, { recursive: true, force: true })));
  }
}

/** Those of a role on a base begin with their disk id. */
function diskOf({ ids }: StageContent): string {
  return `${hex32(ids.diskId)}-`;
}

/** Removes what this role's image was made of before: each would keep as many bytes as the image has. */
async function removeEarlier(cache: StageCache, content: StageContent, key: string): Promise<void> {
  const own = (await readdir(cache.dir)).filter((name) => name.startsWith(diskOf(content)) && name !== key);
  await Promise.all(own.map((name) => rm(join(cache.dir, name), { recursive: true, force: true })));
}
