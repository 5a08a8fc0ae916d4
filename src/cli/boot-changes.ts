// What changing files of a boot partition comes to in bytes: found out by mtools on a sparse copy, before anything is written to the image.
import { directoryRanges, findInFat, freeClusters, openFat, readFromFat, type FatVolume } from '../image/fat.ts';
import { readerOf, type ByteRange, type ReadAt } from '../image/ranges.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { Edit } from '../seed/formats/edits.ts';
import { addFiles, check, giveNames, removeFiles, withCopy, type Copy, type Partition } from './boot-copy.ts';

/** Bytes of the disk that become others: whole sectors of 512 bytes. */
export interface Change {
  offset: number;
  content: Buffer;
}

/**
 * In the order in which they are written, each on the disk before the next begins (but in a copy, which has no name yet): wherever it stops, every file is whole, either the old
 * one or the new one. At first contents, in clusters that nothing had; then the table with the new files and the old ones in it; then names,
 * sector by sector, those that the others only count with last; then the names that are to go, which cmdline.txt may have named until now;
 * then the table without the old files; then zeros over what those held.
 */
export type Stages = Change[][];

/**
 * `read` is of the disk, `what` how it is called in messages. Throws PiimgError: refused for a file system that fsck.vfat finds damaged,
 * and where there is no room, for both files and what they take the place of.
 */
export async function changesFor(
  read: ReadAt,
  { offset, what }: Partition,
  edits: Edit[],
  signal?: AbortSignal,
): Promise<Stages> {
  const before = await openFat(read, offset);
  await refuseFolders(before, edits, what);
  requireRoom(before, edits, what);
  return withCopy(before, offset, (copy) => change(copy, before, { offset, what }, { edits, signal }));
}

async function change(
  copy: Copy,
  before: FatVolume,
  { offset, what }: Partition,
  { edits, signal }: { edits: Edit[]; signal: AbortSignal | undefined },
): Promise<Stages> {
  const places = await directoryRanges(before);
  await check(copy, what, 'before');
  const tables = { offset, length: before.root.offset - offset };
  const inCopy = readerOf(copy.handle);
  const readCopy: ReadAt = (at, length) => inCopy(at - offset, length);
  await addFiles(copy, before, edits);
  const replaced = await giveNames(copy, readCopy, offset, edits);
  const reserved = await readCopy(tables.offset, tables.length);
  await removeFiles(copy, replaced);
  const named = await openFat(readCopy, offset);
  const all = clustersOf(named, await directoryRanges(named));
  const grown = all.filter((cluster) => !places.some((place) => covers(place, cluster)));
  const empty = grown.map(({ offset: at, length }) => ({ offset: at, content: Buffer.alloc(length) }));
  const folders = [...(await contentsOf(before.read, places)), ...empty];
  const shown = await contentsOf(readCopy, [...places, ...grown]);
  const turns = await inTurns(named, differing(folders, shown));
  await removeFiles(copy, await present(before, edits));
  await check(copy, what, 'planned');
  signal?.throwIfAborted();
  const old = (await Promise.all(edits.map(({ path }) => findInFat(before, path)))).flatMap(
    (entry) => entry?.ranges ?? [],
  );
  return [
    [...(await newContents(await openFat(readCopy, offset), edits)), ...empty],
    differences(await before.read(tables.offset, tables.length), reserved, tables.offset),
    ...turns,
    differing(shown, await contentsOf(readCopy, [...places, ...grown])),
    differences(reserved, await readCopy(tables.offset, tables.length), tables.offset),
    // Nobody's any more, they may hold secrets of an earlier identity.
    old.map(({ offset: at, length }) => ({ offset: at, content: Buffer.alloc(length) })),
  ];
}

/** The files that are to go, and are there. */
async function present(before: FatVolume, edits: Edit[]): Promise<string[]> {
  const names: string[] = [];
  for (const edit of edits) {
    if (!('content' in edit) && (await findInFat(before, edit.path)) !== undefined) names.push(edit.path);
  }
  return names;
}

/** What the stages come to, sector by sector, sorted. */
export function settled(stages: Stages): Change[] {
  const sectors = new Map<number, Buffer>();
  for (const { offset, content } of stages.flat()) {
    for (let at = 0; at < content.length; at += SECTOR) sectors.set(offset + at, content.subarray(at, at + SECTOR));
  }
  const sorted = [...sectors].sort(([a], [b]) => a - b);
  return sorted.map(([offset, content]) => ({ offset, content }));
}

const covers = (place: ByteRange, { offset, length }: ByteRange): boolean =>
  place.offset <= offset && offset + length <= place.offset + place.length;

function clustersOf({ clusterBytes, rootCluster, root }: FatVolume, ranges: ByteRange[]): ByteRange[] {
  return ranges.flatMap((range) => {
    // A root with a place of its own never grows.
    if (rootCluster === 0 && range.offset === root.offset) return [];
    const count = range.length / clusterBytes;
    return Array.from({ length: count }, (_, index) => ({
      offset: range.offset + index * clusterBytes,
      length: clusterBytes,
    }));
  });
}

/** As long as these are the old ones, nothing of the new is taken for news: cloud-init's instance id, then the kernel's command line. */
const LAST = ['meta-data', 'cmdline.txt'];

/** The sectors with the slots of the last names apart, each after all others. */
async function inTurns(after: FatVolume, names: Change[]): Promise<Stages> {
  const turns: Stages = [[], ...LAST.map(() => [])];
  const slots = await Promise.all(LAST.map((name) => findInFat(after, name)));
  for (const change of names) {
    const holds = slots.findLastIndex(
      (entry) => entry !== undefined && entry.slot >= change.offset && entry.slot < change.offset + SECTOR,
    );
    turns[holds + 1]?.push(change);
  }
  return turns;
}

/** The clusters of each new file, whole; that they hold what is wanted is seen here. */
async function newContents(after: FatVolume, edits: Edit[]): Promise<Change[]> {
  const changes: Change[] = [];
  for (const edit of edits) {
    if (!('content' in edit)) continue;
    const entry = await findInFat(after, edit.path);
    if (entry === undefined || !(await readFromFat(after, entry)).equals(edit.content)) {
      throw new PiimgError(`${edit.path} could not be made anew by mtools`);
    }
    changes.push(...(await contentsOf(after.read, entry.ranges)));
  }
  return changes;
}

const contentsOf = (read: ReadAt, ranges: ByteRange[]): Promise<Change[]> =>
  Promise.all(ranges.map(async ({ offset, length }) => ({ offset, content: await read(offset, length) })));

/** Both of the same places, in the same order. */
const differing = (old: Change[], now: Change[]): Change[] =>
  now.flatMap(({ offset, content }, index) => differences(old[index]?.content ?? content, content, offset));

const SECTOR = 512;

/** Sectors of `now` that differ; `offset` is where both begin on the disk. Looked for in large pieces first: a table has megabytes. */
function differences(old: Buffer, now: Buffer, offset: number, step = 128 * SECTOR): Change[] {
  const changes: Change[] = [];
  for (let from = 0; from < now.length; from += step) {
    const [a, b] = [old.subarray(from, from + step), now.subarray(from, from + step)];
    if (a.equals(b)) continue;
    if (step > SECTOR) changes.push(...differences(a, b, offset + from, SECTOR));
    else changes.push({ offset: offset + from, content: Buffer.from(b) });
  }
  return changes;
}

async function refuseFolders(before: FatVolume, edits: Edit[], what: string): Promise<void> {
  for (const { path: name } of edits) {
    if (!(await findInFat(before, name))?.directory) continue;
    throw new PiimgError(`On the boot partition of ${what}, ${name} is a folder`, {
      exitCode: EXIT.refused,
      hint: 'Remove it.',
    });
  }
}

/** Old files stay until the new ones are there. For a directory that grows, one cluster more for each name. */
function requireRoom(before: FatVolume, edits: Edit[], what: string): void {
  const { clusterBytes } = before;
  const clusters = edits.map((edit) => ('content' in edit ? Math.ceil(edit.content.length / clusterBytes) + 1 : 0));
  const [free, wanted] = [freeClusters(before), clusters.reduce((sum, count) => sum + count, 0)];
  if (free >= wanted) return;
  throw new PiimgError(
    `The boot partition of ${what} has no room: ${wanted * clusterBytes} bytes are needed, ${free * clusterBytes} are free`,
    { exitCode: EXIT.refused, hint: 'Remove files from it that you have put there. Nothing was written.' },
  );
}
