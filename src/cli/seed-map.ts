// The block map beside an image goes along with the copy that has an identity, so that its holes are not written to cards either.
import { createHash } from 'node:crypto';
import { open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { parseBmap, type Bmap } from '../flash/bmap.ts';
import { bmapFileOf } from '../image/bmap.ts';
import { parseMbr, SECTOR } from '../image/mbr.ts';
import { readerOf, type ReadAt } from '../image/ranges.ts';

/** As it lies beside the image, and what it says. */
export interface MapBeside {
  file: string;
  text: string;
  map: Bmap;
}

/** Undefined when there is none. Throws PiimgError (usage) when it is damaged. */
export async function mapBeside(image: string): Promise<MapBeside | undefined> {
  const file = bmapFileOf(image);
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : { file, text, map: parseBmap(text, file) };
}

/**
 * Copies it where it fits the copy `out` as well: a map that has checksums of the seed's slots does not, nor one of files that somebody has
 * moved. One that lay beside an older `out` goes.
 */
export async function copyMap(beside: MapBeside | undefined, out: string): Promise<void> {
  const to = bmapFileOf(out);
  if (beside?.file === to) return;
  await rm(to, { force: true });
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
