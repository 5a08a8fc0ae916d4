// The block map beside an image goes along with the copy that has an identity, so that its holes are not written to cards either.
import { createHash } from 'node:crypto';
import { open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { parseBmap, type Bmap } from '../flash/bmap.ts';
import { parseMbr, SECTOR } from '../image/mbr.ts';
import { readerOf, type ReadAt } from '../image/ranges.ts';

const mapOf = (image: string): string => `${image.replace(/\.img$/, '')}.bmap`;

/**
 * Copies it where it is there and fits the copy `out` as well: a map that has checksums of the seed's slots does not, nor one of files that
 * somebody has moved. One that lay beside an older `out` goes. Throws PiimgError when the image's own is damaged.
 */
export async function copyMap(image: string, out: string): Promise<void> {
  const [from, to] = [mapOf(image), mapOf(out)];
  if (from === to) return;
  await rm(to, { force: true });
  const text = await readFile(from, 'utf8').catch(() => undefined);
  if (text !== undefined && (await fits(parseBmap(text, from), out))) await writeFile(to, text);
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
