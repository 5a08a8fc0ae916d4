// Reads what an ext4 says of itself and of single files: inodes, where their content lies, attributes. Read-only, without mounting.
import { PiimgError } from '../lib/errors.ts';
import { featuresOf, requireReadable } from './ext4-features.ts';
import { damagedExt4, piecesOf, type Blocks, type Piece } from './ext4-map.ts';
import { parseXattrs } from './ext4-xattrs.ts';
import type { ReadAt } from './ranges.ts';

export interface Ext4File {
  /** Without leading slash; the root is `''`. */
  path: string;
  type: 'file' | 'directory' | 'symlink' | 'character' | 'block' | 'fifo' | 'socket' | 'other';
  /** Number of the inode, and how many names it has: files of one number are hard links. */
  inode: number;
  links: number;
  /** Permission bits with setuid, setgid and sticky. */
  mode: number;
  uid: number;
  gid: number;
  size: number;
  /** Seconds since 1970, and what was past of the next one. */
  mtime: number;
  nanoseconds: number;
  /** Where its content is on the disk, in order. */
  ranges: Piece[];
  target?: string;
  /** Major and minor number of a device. */
  device?: [number, number];
  /** Extended attributes, values base64. */
  xattrs?: Record<string, string>;
}

/** Offsets and flags: the kernel's Documentation/filesystems/ext4 (super, group_descr, inodes). */
const MAGIC = 0xef53;
const EXTENTS = 0x80000;
/** The longest target that lies in the inode itself has one byte less than `i_block`. */
const SHORT_TARGET = 60;
const TYPES: Record<number, Ext4File['type']> = {
  0x1: 'fifo',
  0x2: 'character',
  0x4: 'directory',
  0x6: 'block',
  0x8: 'file',
  0xa: 'symlink',
  0xc: 'socket',
};

/** How many blocks of inode tables are kept: the inodes of neighbours lie in one. */
const KEPT = 256;

export interface Ext4Volume extends Blocks {
  label: string;
  uuid: string;
  /** As e2fsprogs calls them, sorted. */
  features: string[];
  /** Bytes of all blocks. */
  length: number;
  inodesPerGroup: number;
  inodeSize: number;
  /** Block of each group's inode table. */
  tables: number[];
  /** Reads a block, of the last ones kept. */
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
  requireReadable(sb, start);
  const features = featuresOf(sb);
  if (features.includes('needs_recovery') || features.includes('orphan_present')) {
    onJournal(
      new PiimgError(`The ext4 at byte ${start} was in use when it was copied: its journal holds changes.`, {
        hint: 'Check and complete it with `e2fsck`, then try again.',
      }),
    );
  }
  const block = 1024 << sb.readUInt32LE(0x18);
  const firstBlock = sb.readUInt32LE(0x14);
  const inodesPerGroup = sb.readUInt32LE(0x28);
  const groups = Math.ceil(sb.readUInt32LE(0) / inodesPerGroup);
  const wide = features.includes('64bit');
  const size = wide ? sb.readUInt16LE(0xfe) : 32;
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
    label: sb.toString('utf8', 0x78, 0x88).replace(/\0.*$/s, ''),
    uuid: sb.toString('hex', 0x68, 0x78).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
    features,
    block,
    length: (sb.readUInt32LE(4) + (wide ? sb.readUInt32LE(0x150) * 2 ** 32 : 0)) * block,
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
  const late = extra >= 12 ? inode.readUInt32LE(0x88) : 0;
  const size = inode.readUInt32LE(4) + inode.readUInt32LE(0x6c) * 2 ** 32;
  const type = TYPES[mode >> 12] ?? 'other';
  const extents = (inode.readUInt32LE(0x20) & EXTENTS) !== 0;
  const map = inode.subarray(0x28, 0x64);
  const short = type === 'symlink' && !extents && size < SHORT_TARGET;
  const hasContent = type === 'file' || type === 'directory' || (type === 'symlink' && !short);
  const file: Ext4File = {
    path,
    type,
    inode: number,
    links: inode.readUInt16LE(0x1a),
    mode: mode & 0o7777,
    uid: inode.readUInt16LE(2) + inode.readUInt16LE(0x78) * 0x10000,
    gid: inode.readUInt16LE(0x18) + inode.readUInt16LE(0x7a) * 0x10000,
    size,
    // Two bits of the extra field continue the seconds.
    mtime: inode.readInt32LE(0x10) + (late & 3) * 2 ** 32,
    nanoseconds: Math.min(late >>> 2, 999_999_999),
    ranges: hasContent ? await piecesOf(volume, { map, extents, size, path }) : [],
  };
  // A short target lies where the map of a file would.
  if (short) file.target = map.toString('utf8', 0, size);
  else if (type === 'symlink')
    file.target = (await volume.readBlock(((file.ranges[0]?.offset ?? 0) - start) / block)).toString('utf8', 0, size);
  if (type === 'character' || type === 'block') file.device = deviceOf(map);
  const aclBlock = inode.readUInt32LE(0x68) + inode.readUInt16LE(0x76) * 2 ** 32;
  const xattrs = {
    ...parseXattrs(inode.subarray(128 + extra), 4, 4),
    ...(aclBlock > 0 && parseXattrs(await volume.readBlock(aclBlock), 32, 0)),
  };
  if (Object.keys(xattrs).length > 0) file.xattrs = xattrs;
  return file;
}

/** Numbers that fit one byte each lie in the first word, others in the second: the kernel's linux/kdev_t.h, old_ and new_decode_dev. */
function deviceOf(map: Buffer): [number, number] {
  const old = map.readUInt32LE(0);
  if (old !== 0) return [(old >> 8) & 0xff, old & 0xff];
  const wide = map.readUInt32LE(4);
  return [(wide & 0xfff00) >> 8, (wide & 0xff) | ((wide >> 12) & 0xfff00)];
}
