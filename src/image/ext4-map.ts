// Where the content of a file of an ext4 lies: by extents, or by the block maps of files that older systems wrote.
import { PiimgError } from '../lib/errors.ts';

/** `undefined` as offset is a hole. */
export interface Piece {
  offset: number | undefined;
  length: number;
}

/** The kernel's Documentation/filesystems/ext4 (ifork). */
const EXTENT_MAGIC = 0xf30a;
const DIRECT_BLOCKS = 12;

/** The blocks of a file system that begins at byte `start` of the disk. */
export interface Blocks {
  start: number;
  /** Bytes of one. */
  block: number;
  readBlock: (number: number) => Promise<Buffer>;
}

interface Extent extends Piece {
  /** Byte of the file. */
  from: number;
}

/** `size` bytes of the file with that `i_block`, holes included. Throws PiimgError where the tree cannot be. */
export async function piecesOf(
  volume: Blocks,
  { map, extents, size, path }: { map: Buffer; extents: boolean; size: number; path: string },
): Promise<Piece[]> {
  if (extents) return withHoles(await extentsOf(volume, map, path), size);
  return withHoles(await mappedBlocks(volume, map, Math.ceil(size / volume.block), path), size);
}

/** The extents below a node of the tree, in order. */
async function extentsOf(volume: Blocks, node: Buffer, path: string, depth = 0): Promise<Extent[]> {
  if (node.readUInt16LE(0) !== EXTENT_MAGIC || depth > 5) throw damagedExt4(path);
  const extents: Extent[] = [];
  const leaf = node.readUInt16LE(6) === 0;
  const { start, block } = volume;
  for (let i = 1; i <= node.readUInt16LE(2); i++) {
    if ((i + 1) * 12 > node.length) throw damagedExt4(path);
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

/** Twelve blocks, then those that one, two and three levels of blocks of numbers lead to. */
async function mappedBlocks(volume: Blocks, map: Buffer, blocks: number, path: string): Promise<Extent[]> {
  const { start, block } = volume;
  const extents: Extent[] = [];
  let at = 0;
  for (let i = 0; i < DIRECT_BLOCKS + 3; i++) {
    for await (const { number, count } of blocksBelow(
      volume,
      map.readUInt32LE(i * 4),
      Math.max(0, i - DIRECT_BLOCKS + 1),
    )) {
      if (at >= blocks) return extents;
      if (number !== 0) append(extents, { from: at * block, offset: start + number * block, length: block });
      at += count;
    }
  }
  if (at < blocks) throw damagedExt4(path);
  return extents;
}

/** One by one the blocks that a number leads to over so many levels; number 0 is a hole, of `count` blocks. */
async function* blocksBelow(
  volume: Blocks,
  number: number,
  level: number,
): AsyncGenerator<{ number: number; count: number }> {
  const perBlock = volume.block / 4;
  if (number === 0 || level === 0) {
    yield { number, count: perBlock ** level };
    return;
  }
  const numbers = await volume.readBlock(number);
  for (let i = 0; i < perBlock; i++) yield* blocksBelow(volume, numbers.readUInt32LE(i * 4), level - 1);
}

function append(extents: Extent[], extent: Extent): void {
  const last = extents.at(-1);
  const follows =
    last?.offset !== undefined &&
    last.from + last.length === extent.from &&
    last.offset + last.length === extent.offset;
  if (follows) last.length += extent.length;
  else extents.push(extent);
}

/** `size` bytes of a file: its extents with the holes between them. */
function withHoles(extents: Extent[], size: number): Piece[] {
  const ranges: Piece[] = [];
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
