// What changing files of a boot partition comes to in bytes: found out by mtools on a sparse copy, before anything is written to the image.
import { directoryRanges, findInFat, freeClusters, openFat, readFromFat, type FatVolume } from '../image/fat.ts';
import { passing, readerOf, type ByteRange, type ReadAt } from '../image/ranges.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { Edit } from '../seed/formats/edits.ts';
import {
  addFiles,
  check,
  digestOf,
  giveNames,
  makeWritable,
  removeFiles,
  tablesDiffer,
  withCopy,
  type Copy,
  type Partition,
  type There,
} from './boot-copy.ts';

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

/** What is to be written, and how it is known afterwards that it was, and nothing else. */
export interface Planned {
  stages: Stages;
  /** `digestOf` the file system that fsck.vfat has found sound with the changes in it. */
  sound: string;
}

/**
 * `read` is of the disk, `what` how it is called in messages. Throws PiimgError: refused for a file system that fsck.vfat finds damaged,
 * and where there is no room, for both files and what they take the place of.
 */
export async function changesFor(
  read: ReadAt,
  { offset, what }: Partition,
  edits: Edit[],
  signal?: AbortSignal,
): Promise<Planned> {
  const before = await openFat(read, offset);
  const there = await Promise.all(edits.map(({ path }) => findInFat(before, path)));
  refuseFolders(there, edits, what);
  await requireRoom(before, edits, what);
  const sound = (copy: Copy): Promise<void> => check(copy, what, 'before');
  try {
    return await withCopy(before, offset, async (copy) => {
      // mtools read the first table, and would make the others like it; and files that go take their damage along. All other stays, and is
      // found when all is done.
      if ((await tablesDiffer(before)) || !areWhole(there, before)) await sound(copy);
      return change(copy, before, { offset, what }, { edits, there, signal });
    });
  } catch (error) {
    signal?.throwIfAborted();
    await withCopy(before, offset, sound);
    throw error;
  }
}

async function change(
  copy: Copy,
  before: FatVolume,
  { offset, what }: Partition,
  { edits, there, signal }: { edits: Edit[]; there: There; signal: AbortSignal | undefined },
): Promise<Planned> {
  const places = await directoryRanges(before);
  const inCopy = readerOf(copy.handle);
  const readCopy: ReadAt = (at, length, into) => inCopy(at - offset, length, into);
  const tables = { offset, length: before.root.offset - offset };
  const inTables = (): Promise<Change[]> => changesIn(tables, before.read, readCopy);
  await addFiles(copy, there, edits);
  const replaced = await giveNames(copy, readCopy, offset, edits);
  const reserved = await inTables();
  await removeFiles(copy, replaced);
  const named = await openFat(readCopy, offset);
  const all = clustersOf(named, await directoryRanges(named));
  const grown = all.filter((cluster) => !places.some((place) => covers(place, cluster)));
  const empty = grown.map(({ offset: at, length }) => ({ offset: at, content: Buffer.alloc(length) }));
  const folders = [...(await contentsOf(before.read, places)), ...empty];
  const shown = await contentsOf(readCopy, [...places, ...grown]);
  const turns = await inTurns(named, differing(folders, shown));
  const going = edits.flatMap((edit, index) => {
    const entry = 'content' in edit ? undefined : there[index];
    return entry === undefined ? [] : [{ name: edit.path, readOnly: entry.readOnly }];
  });
  await makeWritable(
    copy,
    going.filter(({ readOnly }) => readOnly).map(({ name }) => name),
  );
  await removeFiles(
    copy,
    going.map(({ name }) => name),
  );
  await check(copy, what, 'planned');
  signal?.throwIfAborted();
  const after = await openFat(readCopy, offset);
  const old = there.flatMap((entry) => entry?.ranges ?? []);
  const stages = [
    [...(await newContents(after, edits)), ...empty],
    reserved,
    ...turns,
    differing(shown, await contentsOf(readCopy, [...places, ...grown])),
    await fromOneToOther(before.read, reserved, await inTables()),
    // Nobody's any more, they may hold secrets of an earlier identity.
    old.map(({ offset: at, length }) => ({ offset: at, content: Buffer.alloc(length) })),
  ];
  return { stages, sound: await digestOf(after) };
}

/** Whether the files that change or go have the clusters that their sizes take. */
function areWhole(there: There, { clusterBytes }: FatVolume): boolean {
  return there.every((entry) => {
    const clusters = Math.ceil((entry?.size ?? 0) / clusterBytes);
    return entry?.ranges.reduce((sum, { length }) => sum + length, 0) === (entry && clusters * clusterBytes);
  });
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

/** Sectors of `now` that differ; `offset` is where both begin on the disk. */
function differences(old: Buffer, now: Buffer, offset: number): Change[] {
  if (old.equals(now)) return [];
  const changes: Change[] = [];
  for (let from = 0; from < now.length; from += SECTOR) {
    const content = now.subarray(from, from + SECTOR);
    if (!old.subarray(from, from + SECTOR).equals(content)) {
      changes.push({ offset: offset + from, content: Buffer.from(content) });
    }
  }
  return changes;
}

/** Sectors of a place that read differently by `now`. */
async function changesIn(place: ByteRange, old: ReadAt, now: ReadAt): Promise<Change[]> {
  const changes: Change[] = [];
  for await (const { at, pieces } of passing([old, now], place)) {
    const [before, after] = pieces;
    if (before && after) changes.push(...differences(before, after, at));
  }
  return changes;
}

/** What makes the second of what `read` reads with the first; both are told by their sectors that differ from it. */
async function fromOneToOther(read: ReadAt, first: Change[], second: Change[]): Promise<Change[]> {
  const [from, to] = [first, second].map((changes) => new Map(changes.map(({ offset, content }) => [offset, content])));
  const places = [...new Set([...first, ...second].map(({ offset }) => offset))].sort((a, b) => a - b);
  const all = places.map(async (offset) => {
    const before = from?.get(offset) ?? (await read(offset, SECTOR));
    return { offset, before, content: to?.get(offset) ?? (await read(offset, SECTOR)) };
  });
  return (await Promise.all(all)).flatMap(({ offset, before, content }) =>
    before.equals(content) ? [] : [{ offset, content }],
  );
}

function refuseFolders(there: There, edits: Edit[], what: string): void {
  for (const [index, { path: name }] of edits.entries()) {
    if (!there[index]?.directory) continue;
    throw new PiimgError(`On the boot partition of ${what}, ${name} is a folder`, {
      exitCode: EXIT.refused,
      hint: 'Remove it.',
    });
  }
}

/** Old files stay until the new ones are there. For a directory that grows, one cluster more for each name. */
async function requireRoom(before: FatVolume, edits: Edit[], what: string): Promise<void> {
  const { clusterBytes } = before;
  const clusters = edits.map((edit) => ('content' in edit ? Math.ceil(edit.content.length / clusterBytes) + 1 : 0));
  const wanted = clusters.reduce((sum, count) => sum + count, 0);
  const free = await freeClusters(before, wanted);
  if (free >= wanted) return;
  throw new PiimgError(
    `The boot partition of ${what} has no room: ${wanted * clusterBytes} bytes are needed, ${free * clusterBytes} are free`,
    { exitCode: EXIT.refused, hint: 'Remove files from it that you have put there. Nothing was written.' },
  );
}
