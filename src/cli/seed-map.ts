// The block map beside an image: it goes along with a copy that has an identity, so that its holes are not written to cards either, and fits
// what has been changed.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { parseBmap, type Bmap } from '../flash/bmap.ts';
import { covering, overlap, wholeBlocks } from '../flash/write/chunks.ts';
import { BMAP_BLOCK, bmapFileOf, bmapFilesOf, bmapXml } from '../image/bmap.ts';
import { parseMbr, SECTOR } from '../image/mbr.ts';
import { readerOf, type ReadAt } from '../image/ranges.ts';
import type { Change } from './boot-changes.ts';

/** As it lies beside the image, and what it says. */
export interface MapBeside {
  file: string;
  text: string;
  map: Bmap;
}

/** Undefined when there is none. Throws PiimgError (usage) when it is damaged. */
export async function mapBeside(image: string): Promise<MapBeside | undefined> {
  for (const file of bmapFilesOf(image)) {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text !== undefined) return { file, text, map: parseBmap(text, file) };
  }
  return undefined;
}

/** Whatever flashers would take for its map. */
export async function removeMaps(image: string): Promise<void> {
  await Promise.all(bmapFilesOf(image).map((file) => rm(file, { force: true })));
}

/**
 * Writes the map of an image beside the same image with `changes` made, `target`: what they touch is mapped, and has no checksum. What lay
 * there for an older target goes. False where it cannot be said, the map having smaller blocks than those of piimg.
 */
export async function writeChangedMap(
  beside: MapBeside | undefined,
  target: string,
  changes: Change[],
): Promise<boolean> {
  await Promise.all(
    bmapFilesOf(target)
      .filter((file) => file !== beside?.file)
      .map((file) => rm(file, { force: true })),
  );
  if (beside === undefined) return true;
  const { imageSize, blockSize, ranges } = beside.map;
  if (blockSize % BMAP_BLOCK !== 0) return false;
  const changed = changes.map(({ offset, content }) => ({ offset, length: content.length }));
  const mapped = covering(ranges, changed).map(({ sum, offset, length }) => {
    const same = sum?.type === 'sha256' && !changed.some((one) => overlap(one, { offset, length }));
    return { offset, length: wholeBlocks(length), ...(same && { sha256: sum.hex }) };
  });
  const own = bmapFileOf(target);
  // Where it is still there, it is that of the other image.
  await writeFile(existsSync(own) ? `${target}.bmap` : own, bmapXml(imageSize, mapped));
  return true;
}

/**
 * Copies it where it fits the copy `out` as well: a map that has checksums of the seed's slots does not, nor one of files that somebody has
 * moved. One that lay beside an older `out` goes.
 */
export async function copyMap(beside: MapBeside | undefined, out: string): Promise<void> {
  const to = bmapFileOf(out);
  if (beside?.file === to) return;
  await removeMaps(out);
  if (beside !== undefined && (await fits(beside.map, out))) await writeFile(to, beside.text);
}

/** Bytes read at once. */
const PIECE = 1 << 20;

/** A seed changes what lies before the root partition, if anything. */
async function fits({ imageSize, ranges }: Bmap, out: string): Promise<boolean> {
  if ((await stat(out)).size !== imageSize) return false;
  const file = await open(out);
  try {
    const read = readerOf(file);
    const root = parseMbr(await read(0, SECTOR)).entries[1]?.start ?? Infinity;
    for (const { offset, length, sum } of ranges) {
      if (offset >= root * SECTOR) break;
      if (sum !== undefined && (await sumOf(sum.type, read, { offset, length })) !== sum.hex) return false;
    }
    return true;
  } finally {
    await file.close();
  }
}

async function sumOf(type: string, read: ReadAt, { offset, length }: Bmap['ranges'][number]): Promise<string> {
  const hash = createHash(type);
  for (let at = 0; at < length; at += PIECE) hash.update(await read(offset + at, Math.min(PIECE, length - at)));
  return hash.digest('hex');
}
