// An image to write to cards, in all the shapes that writers take: with holes and without, packed, with a block map and without.
import { randomFillSync } from 'node:crypto';
import { link, mkdir, open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../../src/host/exec.ts';
import { encodeMbr } from '../../src/image/mbr.ts';

export interface BenchImage {
  size: number;
  /** Bytes that the block map names. */
  mapped: number;
  /** Each in a folder of its own, so that none is beside a block map of another. */
  plain: string;
  xz: string;
  zst: string;
  /** With its block map beside it. */
  withMap: string;
  bmap: string;
  /** The mapped blocks and nothing else, one after the other. */
  blocks: string;
}

const MIB = 1 << 20;
/** 2.6 GB, as Raspberry Pi OS Lite has: the start of a program counts for what it does with a real image. */
const SIZE = 2480 * MIB;

/** Pieces of this size are noise, text and a hole: 60 % are mapped, and half of that can be packed well. */
const PIECE = 16 * MIB;
const MAPPED = Math.round((PIECE * 0.3) / 4096) * 4096;

/** Makes it below `folder`. */
export async function makeImage(folder: string): Promise<BenchImage> {
  const at = (...names: string[]): string => path.join(folder, ...names);
  for (const name of ['plain', 'map', 'xz', 'zst']) await mkdir(at(name));
  const [withMap, plain, blocks] = [at('map/card.img'), at('plain/card.img'), at('blocks')];
  const [image, compact] = [await open(withMap, 'w'), await open(blocks, 'w')];
  try {
    for (let piece = 0; piece < SIZE; piece += PIECE) {
      const bytes = Buffer.concat([randomFillSync(Buffer.alloc(MAPPED)), text(MAPPED, piece)]);
      // piimg takes nothing for an image of a disk that has no partition table.
      if (piece === 0) encodeMbr(1, [{ number: 1, type: 0x83, start: 2048, sectors: SIZE / 512 - 2048 }]).copy(bytes);
      await image.write(bytes, 0, bytes.length, piece);
      await compact.write(bytes);
    }
    await image.truncate(SIZE);
    // The block map is made from what the file system has allocated.
    await image.sync();
  } finally {
    await image.close();
    await compact.close();
  }
  await link(withMap, plain);
  const bmap = at('map/card.bmap');
  await run(['bmaptool', 'create', '--output', bmap, withMap]);
  const [xz, zst] = [at('xz/card.img.xz'), at('zst/card.img.zst')];
  await run(['sh', '-euc', 'xz -T0 -1 -c "$1" >"$2"; zstd -q -T0 -3 "$1" -o "$3"; sync', 'sh', plain, xz, zst]);
  const count = Number(/<MappedBlocksCount>\s*(\d+)/.exec(await readFile(bmap, 'utf8'))?.[1]);
  const mapped = (SIZE / PIECE) * 2 * MAPPED;
  if (count * 4096 !== mapped)
    throw new Error(`bmaptool maps ${count} blocks of ${mapped / 4096}: no holes in ${folder}?`);
  return { size: SIZE, mapped, plain, xz, zst, withMap, bmap, blocks };
}

/** Lines of a log, each another one. */
function text(length: number, seed: number): Buffer {
  const lines: string[] = [];
  for (let total = 0, i = seed; total < length; i++) {
    const line = `Nov 27 15:${i % 60}:00 node app[${i % 977}]: request ${i} of ${(i * 7919) % 65_536} served in ${i % 83} ms\n`;
    lines.push(line);
    total += line.length;
  }
  return Buffer.from(lines.join('')).subarray(0, length);
}
