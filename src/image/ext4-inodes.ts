// Reads what an ext4 says of itself and of single files: inodes, where their content lies, attributes. Read-only, without mounting.
import { PiimgError } from '../lib/errors.ts';
import type { ReadAt } from './ranges.ts';
import { parseXattrs } from './ext4-xattrs.ts';

export interface Ext4File {
  /** Without leading slash; the root is `''`. */
  path: string;
  type: 'file' | 'directory' | 'symlink' | 'other';
  /** Permission bits with setuid, setgid and sticky. */
  mode: number;
  uid: number;
  gid: number;
  size: number;
  /** Seconds since 1970. */
  mtime: number;
  /** Where its content is on the disk, in order; `undefined` as offset is a hole. */
  ranges: { offset: number | undefined; length: number }[];
  target?: string;
  /** Extended attributes, values base64. */
  xattrs?: Record<string, string>;
}

/** Offsets and flags: the kernel's Documentation/filesystems/ext4 (super, group_descr, inodes, ifork). */
const MAGIC = 0xef53;
const INCOMPAT = { recover: 0x4, wide: 0x80 };
/** filetype, extents, 64bit, flex_bg, csum_seed, largedir. */
const READABLE = 0x2 | 0x40 | INCOMPAT.wide | 0x200 | 0x2000 | 0x4000;
const EXTENTS = 0x80000;
const EXTENT_MAGIC = 0xf30a;
const TYPES: Record<number, Ext4File['type']> = { 0x4: 'directory', 0x8: 'file', 0xa: 'symlink' };

/** How many blocks of inode tables are kept: the inodes of neighbours lie in one. */
const KEPT = 256;

export interface Ext4Volume {
  /** Byte of the disk where it begins. */
  start: number;
  block: number;
  inodesPerGroup: number;
  inodeSize: number;
  /** Block of each group's inode table. */
  tables: number[];
  /** Reads a block. */
  readBlock: (number: number) => Promise<Buffer>;
  /** The same, of the last ones kept. */
  readKept: (number: number) => Promise<Buffer>;
}

/** Called for a file system whose journal holds changes that were not carried out: by default the error is thrown. */
export type OnJournal = (error: PiimgError) => void;
const refuse: OnJournal = (error) => {
  throw error;
};

/**
 * Opens the ext4 that begins at byte `start`. Throws PiimgError where there is none, for one whose journal holds changes (unless
 * `onJournal` lets it be read as if there were none), and for features it does not know.
 */
export async function openExt4(read: ReadAt, start: number, onJournal: OnJournal = refuse): Promise<Ext4Volume> {
  const sb = await read(start + 1024, 1024);
  if (sb.readUInt16LE(0x38) !== MAGIC) throw new PiimgError(`There is no ext4 file system at byte ${start}.`);
  const incompat = sb.readUInt32LE(0x60);
  if (incompat & INCOMPAT.recover) {
    onJournal(
      new PiimgError(`The ext4 at byte ${start} was in use when it was copied: its journal holds changes.`, {
        hint: 'Check and complete it with `e2fsck`, then compare again.',
      }),
    );
  }
  const unknown = incompat & ~(READABLE | INCOMPAT.recover);
  if (unknown) {
    const which = unknown.toString(16);
    throw new PiimgError(`The ext4 at byte ${start} has features piimg does not read (incompat 0x${which}).`);
  }
  const block = 1024 << sb.readUInt32LE(0x18);
  const firstBlock = sb.readUInt32LE(0x14);
  const inodesPerGroup = sb.readUInt32LE(0x28);
  const groups = Math.ceil(sb.readUInt32LE(0) / inodesPerGroup);
  const size = incompat & INCOMPAT.wide ? sb.readUInt16LE(0xfe) : 32;
  const descriptors = await read(start + (firstBlock + 1) * block, groups * size);
  const tables = Array.from(
    { length: groups },
    (_, group) =>
      descriptors.readUInt32LE(group * size + 8) +
      (size > 32 ? descriptors.readUInt32LE(group * size + 0x28) * 2 ** 32 : 0),
  );
  const readBlock = (number: number): Promise<Buffer> => read(start + number * block, block);
  return {
    start,
    block,
    inodesPerGroup,
    inodeSize: sb.readUInt16LE(0x58),
    tables,
    readBlock,
    readKept: keeping(readBlock),
  };
}

function keeping(read: (number: number) => Promise<Buffer>): (number: number) => Promise<Buffer> {
  const kept = new Map<number, Promise<Buffer>>();
  return (number) => {
    const found = kept.get(number) ?? read(number);
    kept.set(number, found);
    const [oldest = 0] = kept.keys();
    if (kept.size > KEPT) kept.delete(oldest);
    return found;
  };
}

/** Inode `number`, which `path` names. Throws PiimgError where it cannot be. */
export async function readInode(volume: Ext4Volume, number: number, path: string): Promise<Ext4File> {
  const { start, inodesPerGroup, inodeSize, block } = volume;
  const table = volume.tables[Math.floor((number - 1) / inodesPerGroup)];
  if (table === undefined) throw damagedExt4(path);
  const at = ((number - 1) % inodesPerGroup) * inodeSize;
  const inode = (await volume.readKept(table + Math.floor(at / block))).subarray(at % block, (at % block) + inodeSize);
  const mode = inode.readUInt16LE(0);
  const extra = inodeSize > 128 ? inode.readUInt16LE(0x80) : 0;
  const size = inode.readUInt32LE(4) + inode.readUInt32LE(0x6c) * 2 ** 32;
  const type = TYPES[mode >> 12] ?? 'other';
  const mapped = (inode.readUInt32LE(0x20) & EXTENTS) !== 0;
  if ((type === 'file' || type === 'directory') && !mapped && size > 0) throw damagedExt4(path);
  const map = inode.subarray(0x28, 0x64);
  const ranges = mapped ? withHoles(await extentsOf(volume, map, path), size) : [];
  const file: Ext4File = {
    path,
    type,
    mode: mode & 0o7777,
    uid: inode.readUInt16LE(2) + inode.readUInt16LE(0x78) * 0x10000,
    gid: inode.readUInt16LE(0x18) + inode.readUInt16LE(0x7a) * 0x10000,
    size,
    // Two bits of the extra field continue the seconds.
    mtime: inode.readInt32LE(0x10) + (extra >= 12 ? (inode.readUInt32LE(0x88) & 3) * 2 ** 32 : 0),
    ranges,
  };
  // A short target lies where the map of a file would.
  if (type === 'symlink' && !mapped) file.target = map.toString('utf8', 0, size);
  else if (type === 'symlink')
    file.target = (await volume.readBlock(((ranges[0]?.offset ?? 0) - start) / block)).toString('utf8', 0, size);
  const aclBlock = inode.readUInt32LE(0x68) + inode.readUInt16LE(0x76) * 2 ** 32;
  const xattrs = {
    ...parseXattrs(inode.subarray(128 + extra), 4, 4),
    ...(aclBlock > 0 && parseXattrs(await volume.readBlock(aclBlock), 32, 0)),
  };
  if (Object.keys(xattrs).length > 0) file.xattrs = xattrs;
  return file;
}

interface Extent {
  /** Byte of the file and of the disk; `undefined` for space that was never written. */
  from: number;
  offset: number | undefined;
  length: number;
}

/** The extents below a node of the tree, in order. */
async function extentsOf(volume: Ext4Volume, node: Buffer, path: string, depth = 0): Promise<Extent[]> {
  if (node.readUInt16LE(0) !== EXTENT_MAGIC || depth > 5) throw damagedExt4(path);
  const extents: Extent[] = [];
  const leaf = node.readUInt16LE(6) === 0;
  const { start, block } = volume;
  for (let i = 1; i <= node.readUInt16LE(2); i++) {
    const entry = node.subarray(i * 12, i * 12 + 12);
    if (leaf) {
      const blocks = entry.readUInt16LE(4);
      const unwritten = blocks > 0x8000;
      extents.push({
        from: entry.readUInt32LE(0) * block,
        offset: unwritten ? undefined : start + (entry.readUInt16LE(6) * 2 ** 32 + entry.readUInt32LE(8)) * block,
        length: (unwritten ? blocks - 0x8000 : blocks) * block,
      });
    } else {
      const child = entry.readUInt16LE(8) * 2 ** 32 + entry.readUInt32LE(4);
      extents.push(...(await extentsOf(volume, await volume.readBlock(child), path, depth + 1)));
    }
  }
  return extents;
}

/** `size` bytes of a file: its extents with the holes between them. */
function withHoles(extents: Extent[], size: number): Ext4File['ranges'] {
  const ranges: Ext4File['ranges'] = [];
  let at = 0;
  for (const { from, offset, length } of [...extents, { from: size, offset: undefined, length: 0 }]) {
    if (from > at) ranges.push({ offset: undefined, length: Math.min(from, size) - at });
    at = Math.max(at, from);
    const used = Math.min(length, size - at);
    if (used > 0) ranges.push({ offset, length: used });
    at += Math.max(used, 0);
  }
  return ranges;
}

export function damagedExt4(path: string): PiimgError {
  return new PiimgError(`The ext4 is damaged at /${path}.`, {
    hint: 'Check it with `e2fsck -fn`, or build the image again.',
  });
}
