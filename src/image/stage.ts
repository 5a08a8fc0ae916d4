// The stage: a file system of the layers that no file of the role's own changes, kept so that a rebuild need not make it again.
import { mkdir, mkdtemp, open, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { digestOf } from '../lib/digest.ts';
import type { Step } from '../lib/progress.ts';
import type { Layer } from '../layers/layer.ts';
import { BMAP_BLOCK } from './bmap.ts';
import { digestRanges, type CheckedRange } from './digest.ts';
import { ext4UsedRanges } from './ext4.ts';
import { SECTOR } from './mbr.ts';
import type { Partition } from './manifest.ts';
import { readerOf, wholeBlocks } from './ranges.ts';
import type { RunTool } from './run-tool.ts';

/** Raised when the same layers would make another file system: it is part of every key. */
const STAGE_FORMAT = 1;

export interface StageCache {
  dir: string;
  /** For work in progress, on the same file system. */
  tmp: string;
  /** Makes every stage anew. */
  fresh: boolean;
}

/** What a stage is: the layers in it, and all that decides about the bytes of their file system. */
export interface StageContent {
  layers: Layer[];
  /** Bytes of the whole image; the file system lies where it will lie there. */
  size: number;
  partition: Partition;
  rootUuid: string;
  hashSeed: string;
  sourceDateEpoch: number;
}

/** What lies beside a stage: its blocks in use and their checksums. */
interface StageIndex {
  key: string;
  size: number;
  ranges: CheckedRange[];
}

/**
 * Makes `image` a copy of the stage: holes, and the file system at its place. One that is missing is made by `make`, in the file
 * it is given; one that is damaged is made anew, and that is noted.
 */
export async function copyStage(
  cache: StageCache,
  content: StageContent,
  image: string,
  { runTool, step }: { runTool: RunTool; step: Pick<Step, 'update' | 'note'> },
  make: (file: string) => Promise<void>,
): Promise<void> {
  const { layers, ...rest } = content;
  // A layer's key stands for the tools as well, mke2fs among them; its digest for what they made.
  const names = layers.map(({ index }) => [index.key, index.digest]);
  const key = digestOf({ format: STAGE_FORMAT, layers: names, ...rest });
  const dir = join(cache.dir, key);
  const copy = (from: string) =>
    runTool(['cp', '--sparse=auto', '--reflink=auto', join(from, 'stage.img'), image], { writable: [from, image] });

  if (!cache.fresh && (await readIndex(dir, key))) {
    const [damage, [copied]] = await Promise.all([stageDamage(dir, key), Promise.allSettled([copy(dir)])]);
    if (damage === undefined && copied.status === 'fulfilled') {
      // When it was last used: what `cache prune` goes by.
      await utimes(join(dir, 'stage.json'), new Date(), new Date()).catch(() => {});
      return;
    }
    // Whoever cleans the cache up, or makes the same stage, may have taken it away in between.
    const gone = !(await readIndex(dir, key));
    if (damage === undefined && copied.status === 'rejected' && !gone) throw copied.reason;
    if (!gone) step.note('the cached file system is damaged: made anew');
  }
  await makeStage(cache, dir, { key, ...content }, make, copy);
}

/** Why the stage in `dir` is damaged, if it is. */
export async function stageDamage(dir: string, key: string): Promise<string | undefined> {
  const index = await readIndex(dir, key);
  if (!index) return 'its index cannot be read';
  const checked = await digestRanges(join(dir, 'stage.img'), index.ranges).catch(() => []);
  return isDeepStrictEqual(checked, index.ranges) ? undefined : 'its sha256 differs';
}

/** The index of the stage in `dir`, if a complete one is there. */
async function readIndex(dir: string, key: string): Promise<StageIndex | undefined> {
  const text = await readFile(join(dir, 'stage.json'), 'utf8').catch(() => '{}');
  const image = await stat(join(dir, 'stage.img')).catch(() => undefined);
  try {
    const index = JSON.parse(text) as StageIndex;
    return index.key === key && index.size === image?.size ? index : undefined;
  } catch {
    return undefined;
  }
}

/** Complete or not at all: it is made elsewhere, copied from there with `copy`, and renamed. */
async function makeStage(
  cache: StageCache,
  dir: string,
  { key, size, partition }: StageContent & { key: string },
  make: (file: string) => Promise<void>,
  copy: (from: string) => Promise<unknown>,
): Promise<void> {
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
      const used = wholeBlocks(await ext4UsedRanges(readerOf(file), partition.start * SECTOR), BMAP_BLOCK);
      const [ranges] = await Promise.all([digestRanges(image, used), file.datasync()]);
      await writeFile(join(work, 'stage.json'), JSON.stringify({ key, size, ranges } satisfies StageIndex));
    } finally {
      await file.close();
    }
    await copy(work);
    // What is there is damaged, or another build's: the same.
    await rename(dir, old).catch(() => {});
    await rename(work, dir).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await Promise.all([work, old].map((left) => rm(left, { recursive: true, force: true })));
  }
}
