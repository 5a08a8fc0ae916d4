// Reads from an ext4 which of its blocks are in use.
import { PiimgError } from '../lib/errors.ts';
import type { ByteRange, ReadAt } from './ranges.ts';

/** Offsets and flags: the kernel's Documentation/filesystems/ext4 (super, group_descr). */
const MAGIC = 0xef53;
const COMPAT_RESIZE_INODE = 0x10;
const COMPAT_SPARSE_SUPER2 = 0x200;
const INCOMPAT_META_BG = 0x10;
const INCOMPAT_64BIT = 0x80;
const RO_COMPAT_SPARSE_SUPER = 0x1;
const RO_COMPAT_BIGALLOC = 0x200;
const BLOCK_UNINIT = 0x2;

interface Superblock {
  block: number;
  blocks: number;
  firstBlock: number;
  perGroup: number;
  groups: number;
  descriptorSize: number;
  /** Blocks of the group descriptors, and those kept behind them for growth. */
  descriptorBlocks: number;
  inodeTableBlocks: number;
  sparse: boolean;
  free: number;
}

/**
 * The byte ranges in use of the ext4 that begins at byte `start`: what files and directories occupy, and all metadata
 * (superblock copies, descriptors, bitmaps, inode tables, journal).
 * Throws PiimgError for anything but an ext4 it understands; the count of free blocks is checked against the superblock.
 */
export async function ext4UsedRanges(read: ReadAt, start: number): Promise<ByteRange[]> {
  const fs = parseSuperblock(await read(start + 1024, 1024), start);
  const table = await read(start + (fs.firstBlock + 1) * fs.block, fs.groups * fs.descriptorSize);
  const used = new Uint8Array(fs.blocks);
  const mark = (from: number, count: number) => used.fill(1, from, from + count);
  mark(0, fs.firstBlock);
  for (let group = 0; group < fs.groups; group++) {
    const descriptor = table.subarray(group * fs.descriptorSize, (group + 1) * fs.descriptorSize);
    const location = (low: number, high: number) =>
      descriptor.readUInt32LE(low) + (fs.descriptorSize > 32 ? descriptor.readUInt32LE(high) * 2 ** 32 : 0);
    const blockBitmap = location(0, 0x20);
    // With flex_bg these may lie in any group, and the bitmap of a group that was never used is not on disk.
    mark(blockBitmap, 1);
    mark(location(4, 0x24), 1);
    mark(location(8, 0x28), fs.inodeTableBlocks);
    const first = fs.firstBlock + group * fs.perGroup;
    if (hasSuperblock(group, fs.sparse)) mark(first, 1 + fs.descriptorBlocks);
    if (descriptor.readUInt16LE(0x12) & BLOCK_UNINIT) continue;
    const bitmap = await read(start + blockBitmap * fs.block, fs.block);
    const count = Math.min(fs.perGroup, fs.blocks - first);
    for (let i = 0; i < count; i++) if (bitmap.readUInt8(i >> 3) & (1 << (i & 7))) used[first + i] = 1;
  }
  const ranges = rangesOf(used, fs.block, start);
  const free = fs.blocks - ranges.reduce((sum, { length }) => sum + length / fs.block, 0);
  if (free !== fs.free) {
    throw new PiimgError(`The ext4 at byte ${start} counts ${fs.free} free blocks, its bitmaps ${free}.`, {
      hint: 'Check it with `e2fsck -fn`.',
    });
  }
  return ranges;
}

function parseSuperblock(sb: Buffer, start: number): Superblock {
  if (sb.readUInt16LE(0x38) !== MAGIC) {
    throw new PiimgError(`There is no ext4 file system at byte ${start}.`, { hint: 'Is this a Raspberry Pi image?' });
  }
  const compat = sb.readUInt32LE(0x5c);
  const incompat = sb.readUInt32LE(0x60);
  const roCompat = sb.readUInt32LE(0x64);
  if (incompat & INCOMPAT_META_BG || roCompat & RO_COMPAT_BIGALLOC || compat & COMPAT_SPARSE_SUPER2) {
    throw new PiimgError(
      `The ext4 at byte ${start} has features piimg does not read: meta_bg, bigalloc or sparse_super2.`,
    );
  }
  const block = 1024 << sb.readUInt32LE(0x18);
  const wide = (incompat & INCOMPAT_64BIT) !== 0;
  const number = (low: number, high: number) => sb.readUInt32LE(low) + (wide ? sb.readUInt32LE(high) * 2 ** 32 : 0);
  const blocks = number(0x04, 0x150);
  const firstBlock = sb.readUInt32LE(0x14);
  const perGroup = sb.readUInt32LE(0x20);
  const groups = Math.ceil((blocks - firstBlock) / perGroup);
  const descriptorSize = wide ? sb.readUInt16LE(0xfe) : 32;
  const reserved = compat & COMPAT_RESIZE_INODE ? sb.readUInt16LE(0xce) : 0;
  return {
    block,
    blocks,
    firstBlock,
    perGroup,
    groups,
    descriptorSize,
    descriptorBlocks: Math.ceil((groups * descriptorSize) / block) + reserved,
    inodeTableBlocks: Math.ceil((sb.readUInt32LE(0x28) * sb.readUInt16LE(0x58)) / block),
    sparse: (roCompat & RO_COMPAT_SPARSE_SUPER) !== 0,
    free: number(0x0c, 0x158),
  };
}

/** With sparse_super, copies of superblock and descriptors are in groups 0, 1 and the powers of 3, 5 and 7. */
function hasSuperblock(group: number, sparse: boolean): boolean {
  if (!sparse || group <= 1) return true;
  return [3, 5, 7].some((base) => {
    let power = base;
    while (power < group) power *= base;
    return power === group;
  });
}

function rangesOf(used: Uint8Array, block: number, start: number): ByteRange[] {
  const ranges: ByteRange[] = [];
  for (let from = used.indexOf(1); from !== -1;) {
    const end = used.indexOf(0, from);
    const to = end === -1 ? used.length : end;
    ranges.push({ offset: start + from * block, length: (to - from) * block });
    from = used.indexOf(1, to);
  }
  return ranges;
}
