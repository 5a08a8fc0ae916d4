// Reads a FAT file system, of 12, 16 or 32 bits: where its files lie, and which bytes of it are in use.
import { PiimgError } from '../lib/errors.ts';
import { longName, shortName, timeOf } from './fat-entry.ts';
import type { ByteRange, ReadAt } from './ranges.ts';

export interface FatVolume {
  read: ReadAt;
  /** Of an entry of the table: 12, 16 or 32. */
  bits: number;
  clusterBytes: number;
  /** Byte of the disk where cluster 2, the first, begins. */
  dataStart: number;
  /** 0 where the root directory has a place of its own, `root`, before the clusters. */
  rootCluster: number;
  root: ByteRange;
  /** How many entries the table has: two more than there are clusters. */
  entries: number;
  /** The table's entry for a cluster: the next one, in the values of 32 bits. A promise where that part of the table was not read yet. */
  next: (cluster: number) => number | Promise<number>;
  /** All copies of the table. */
  tables: ByteRange[];
  /** Boot sector, reserved sectors and all copies of the table. */
  metadata: ByteRange;
  /** Bytes of the whole. */
  length: number;
}

export interface FatEntry {
  name: string;
  directory: boolean;
  readOnly: boolean;
  size: number;
  /** Seconds since 1970, of an even number: FAT has no finer ones. It knows no time zone; Linux reads UTC where none is set. */
  mtime: number;
  /** Where its clusters are on the disk, adjacent ones as one range: whole clusters, so mostly longer than `size`. */
  ranges: ByteRange[];
  firstCluster: number;
  /** Byte of the disk where its slot in the directory is, of 32 bytes: without those of a long name. */
  slot: number;
}

/** Offsets and values: Microsoft's "FAT: General Overview of On-Disk Format", version 1.03. */
const ATTR = { readOnly: 0x01, volumeLabel: 0x08, directory: 0x10, longName: 0x0f };
const END_OF_CHAIN = 0x0ffffff8;
const DIRECTORY_ENTRY = 32;
/** Bytes of the table that are read at once, of megabytes that mostly nobody asks for. All of one of 12 bits, whose entries share bytes. */
const TABLE_PAGE = 1 << 16;
/** Linux's MAX_FAT12 (fs/fat/fat.h): with more clusters, entries have 16 bits. */
const MOST_CLUSTERS_OF_12 = 0xff4;

/** Reads the boot sector of the FAT that begins at byte `start`. Throws PiimgError when there is none. */
export async function openFat(read: ReadAt, start: number): Promise<FatVolume> {
  const boot = await read(start, 512);
  const sector = boot.readUInt16LE(11);
  const clusterBytes = boot.readUInt8(13) * sector;
  const reserved = boot.readUInt16LE(14);
  const tables = boot.readUInt8(16);
  // 32 bits have no short count of sectors (Linux's fs/fat/inode.c asks the same).
  const wide = boot.readUInt16LE(22) === 0;
  const sectorsPerTable = wide ? boot.readUInt32LE(36) : boot.readUInt16LE(22);
  const odd = ![512, 1024, 2048, 4096].includes(sector) || clusterBytes === 0 || reserved === 0 || tables === 0;
  if (boot.readUInt16BE(510) !== 0x55aa || odd || sectorsPerTable === 0) {
    throw new PiimgError(`There is no FAT file system at byte ${start}.`, { hint: 'Is this a Raspberry Pi image?' });
  }
  const rootSector = reserved + tables * sectorsPerTable;
  const rootBytes = boot.readUInt16LE(17) * DIRECTORY_ENTRY;
  const dataSector = rootSector + Math.ceil(rootBytes / sector);
  const totalSectors = boot.readUInt16LE(19) || boot.readUInt32LE(32);
  const clusters = Math.floor(((totalSectors - dataSector) * sector) / clusterBytes);
  const bits = wide ? 32 : clusters > MOST_CLUSTERS_OF_12 ? 16 : 12;
  const length = Math.ceil(((clusters + 2) * bits) / 8);
  const copies = Array.from({ length: tables }, (_, index) => ({
    offset: start + (reserved + index * sectorsPerTable) * sector,
    length,
  }));
  return {
    read,
    bits,
    clusterBytes,
    dataStart: start + dataSector * sector,
    rootCluster: wide ? boot.readUInt32LE(44) : 0,
    root: { offset: start + rootSector * sector, length: rootBytes },
    entries: clusters + 2,
    next: tableOf(read, { offset: start + reserved * sector, length }, bits),
    tables: copies,
    metadata: { offset: start, length: dataSector * sector },
    length: totalSectors * sector,
  };
}

/** The table that lies at `offset`, read page by page. */
function tableOf(read: ReadAt, { offset, length }: ByteRange, bits: number): FatVolume['next'] {
  const pages = new Map<number, Buffer>();
  const perPage = (TABLE_PAGE * 8) / bits;
  return (cluster) => {
    const [index, at] = [Math.floor(cluster / perPage), cluster % perPage];
    const known = pages.get(index);
    if (known !== undefined) return tableEntry(known, bits, at);
    return read(offset + index * TABLE_PAGE, Math.min(TABLE_PAGE, length - index * TABLE_PAGE)).then((page) => {
      pages.set(index, page);
      return tableEntry(page, bits, at);
    });
  };
}

/** An entry of a table; the values for bad clusters and ends of chains as 32 bits have them, whose upper four are reserved. */
function tableEntry(table: Buffer, bits: number, cluster: number): number {
  if (bits === 32) return table.readUInt32LE(cluster * 4) & 0x0fffffff;
  const value = bits === 16 ? table.readUInt16LE(cluster * 2) : entryOf12(table, cluster);
  const special = 2 ** bits - 9;
  return value < special ? value : value - special + END_OF_CHAIN - 1;
}

/** Two entries share three bytes. */
function entryOf12(table: Buffer, cluster: number): number {
  const at = cluster + (cluster >> 1);
  const pair = table.readUInt8(at) | ((table[at + 1] ?? 0) << 8);
  return cluster & 1 ? pair >> 4 : pair & 0xfff;
}

/** The serial number that mkfs gave a FAT (BS_VolID), in its boot sector: no system changes it. Of another file system it is any number. */
export const volumeIdIn = (boot: Buffer): number => boot.readUInt32LE(boot.readUInt16LE(22) === 0 ? 67 : 39);

/** Everything in use: the metadata and each cluster that belongs to a file, a directory, or is marked bad. */
export async function fatUsedRanges(volume: FatVolume): Promise<ByteRange[]> {
  const used = [{ ...volume.metadata }];
  for (let cluster = 2; cluster < volume.entries; cluster++) {
    const next = volume.next(cluster);
    if ((typeof next === 'number' ? next : await next) !== 0) append(used, clusterRange(volume, cluster));
  }
  return used;
}

/** The entry at `path` (`config.txt`, `overlays/vc4.dtbo`; case does not count), or `undefined`. */
export async function findInFat(volume: FatVolume, path: string): Promise<FatEntry | undefined> {
  let cluster = volume.rootCluster;
  let found: FatEntry | undefined;
  for (const name of path.split('/')) {
    if (found !== undefined && !found.directory) return undefined;
    const entries = await listFat(volume, cluster);
    found = entries.find((entry) => entry.name.toLowerCase() === name.toLowerCase());
    if (found === undefined) return undefined;
    cluster = found.firstCluster;
  }
  return found;
}

/** The content of a file. */
export async function readFromFat(volume: FatVolume, file: FatEntry): Promise<Buffer> {
  return (await readRanges(volume, file.ranges)).subarray(0, file.size);
}

/** The same in pieces of at most a megabyte. Throws PiimgError for a file that has fewer clusters than it says. */
export async function* streamFromFat(volume: FatVolume, { name, ranges, size }: FatEntry): AsyncGenerator<Buffer> {
  let left = size;
  for (const { offset, length } of ranges) {
    for (let at = 0; at < length && left > 0; at += 1 << 20) {
      const piece = await volume.read(offset + at, Math.min(1 << 20, length - at, left));
      left -= piece.length;
      yield piece;
    }
  }
  if (left > 0) throw damaged(`${name} is longer than its clusters`);
}

/**
 * Everything in it, a folder before what is in it, in its own order. Throws PiimgError for folders in circles, and for names that no file can
 * have, or that two have.
 */
export async function* walkFat(
  volume: FatVolume,
  folder = { prefix: '', cluster: volume.rootCluster },
  seen = new Set([folder.cluster]),
): AsyncGenerator<{ path: string; entry: FatEntry }> {
  const names = new Set<string>();
  for (const entry of await listFat(volume, folder.cluster)) {
    const path = folder.prefix + entry.name;
    const same = entry.name.toLowerCase();
    if (same === '' || /[/\\\0]/.test(same) || names.has(same))
      throw damaged(`the name ${JSON.stringify(path)} is there twice, or none`);
    names.add(same);
    yield { path, entry };
    if (!entry.directory) continue;
    if (seen.has(entry.firstCluster)) throw damaged(`the folder ${path} is in itself`);
    seen.add(entry.firstCluster);
    yield* walkFat(volume, { prefix: `${path}/`, cluster: entry.firstCluster }, seen);
  }
}

const damaged = (what: string): PiimgError =>
  new PiimgError(`The boot partition is damaged: ${what}.`, {
    hint: 'Check it with `fsck.vfat -n`, or build the image again.',
  });

/** The label in the root directory; empty without one. */
export async function fatLabel(volume: FatVolume): Promise<string> {
  const bytes = await readRanges(volume, await chain(volume, volume.rootCluster));
  for (let at = 0; at < bytes.length && bytes[at] !== 0; at += DIRECTORY_ENTRY) {
    const attributes = bytes.readUInt8(at + 11);
    const label = attributes !== ATTR.longName && (attributes & ATTR.volumeLabel) !== 0 && bytes[at] !== 0xe5;
    if (label) return bytes.toString('latin1', at, at + 11).trimEnd();
  }
  return '';
}

/** What is in the directory that begins at `cluster`, by default the root, in its own order. */
export async function listFat(volume: FatVolume, cluster: number = volume.rootCluster): Promise<FatEntry[]> {
  const places = await chain(volume, cluster);
  const bytes = await readRanges(volume, places);
  const entries: FatEntry[] = [];
  let pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length && bytes[at] !== 0; at += DIRECTORY_ENTRY) {
    const slot = bytes.subarray(at, at + DIRECTORY_ENTRY);
    const attributes = slot.readUInt8(11);
    if (slot[0] !== 0xe5 && attributes === ATTR.longName) {
      // 0x40: the last piece of a name, which comes first: what stands before it is left of another one.
      if ((slot.readUInt8(0) & 0x40) !== 0) pieces = [];
      pieces.unshift(slot);
      continue;
    }
    const name = longName(pieces, slot) || shortName(slot);
    pieces = [];
    if (slot[0] === 0xe5) continue;
    if (attributes & ATTR.volumeLabel || name === '.' || name === '..') continue;
    const firstCluster = slot.readUInt16LE(20) * 0x10000 + slot.readUInt16LE(26);
    const ranges = firstCluster === 0 ? [] : await chain(volume, firstCluster);
    const directory = (attributes & ATTR.directory) !== 0;
    const readOnly = (attributes & ATTR.readOnly) !== 0;
    const [size, mtime] = [slot.readUInt32LE(28), timeOf(slot)];
    entries.push({ name, directory, readOnly, size, mtime, ranges, firstCluster, slot: placeOf(places, at) });
  }
  return entries;
}

async function chain(volume: FatVolume, first: number): Promise<ByteRange[]> {
  if (first === 0 && volume.rootCluster === 0) return [volume.root];
  const ranges: ByteRange[] = [];
  let steps = 0;
  for (let cluster = first; cluster < END_OF_CHAIN;) {
    if (cluster < 2 || cluster >= volume.entries || ++steps > volume.entries) {
      throw damaged('a chain of clusters leads nowhere');
    }
    append(ranges, clusterRange(volume, cluster));
    const next = volume.next(cluster);
    cluster = typeof next === 'number' ? next : await next;
  }
  return ranges;
}

/** Byte of the disk where byte `at` of what lies in `ranges` is. */
function placeOf(ranges: ByteRange[], at: number): number {
  let left = at;
  for (const { offset, length } of ranges) {
    if (left < length) return offset + left;
    left -= length;
  }
  throw new RangeError(`there is no byte ${at}`);
}

function clusterRange(volume: FatVolume, cluster: number): ByteRange {
  return { offset: volume.dataStart + (cluster - 2) * volume.clusterBytes, length: volume.clusterBytes };
}

function append(ranges: ByteRange[], range: ByteRange): void {
  const last = ranges.at(-1);
  if (last !== undefined && last.offset + last.length === range.offset) last.length += range.length;
  else ranges.push(range);
}

async function readRanges(volume: FatVolume, ranges: ByteRange[]): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (const { offset, length } of ranges) parts.push(await volume.read(offset, length));
  return Buffer.concat(parts);
}

/** Where its directories lie, the root first. A damaged one that holds itself is told once. */
export async function directoryRanges(volume: FatVolume): Promise<ByteRange[]> {
  const seen = new Set<number>();
  const ranges: ByteRange[] = [...(await chain(volume, volume.rootCluster))];
  const folders = [volume.rootCluster];
  for (let cluster = folders.pop(); cluster !== undefined; cluster = folders.pop()) {
    for (const entry of await listFat(volume, cluster)) {
      if (!entry.directory || seen.has(entry.firstCluster)) continue;
      seen.add(entry.firstCluster);
      folders.push(entry.firstCluster);
      ranges.push(...entry.ranges);
    }
  }
  return ranges;
}

/** Clusters that nothing has; counted no further than to `enough`. Of the first two, which do not exist, entries are never 0. */
export async function freeClusters(volume: FatVolume, enough = Infinity): Promise<number> {
  let free = 0;
  for (let cluster = 0; cluster < volume.entries && free < enough; cluster++) {
    const next = volume.next(cluster);
    if ((typeof next === 'number' ? next : await next) === 0) free++;
  }
  return free;
}
