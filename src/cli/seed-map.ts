// The block map beside an image: it goes along with a copy that has an identity, so that its holes are not written to cards either, and fits
// what has been changed.
import { createHash } from 'node:crypto';
import { open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
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

/** Of an image or its packed form. */
const IMAGE = /\.(img|raw|wic)(\.(xz|gz|zst|zip))?$/;

/** Where maps of this image alone lie: `web.bmap` is that of web.img, also where there is a web.raw. The first is where bmaptool looks as well. */
async function ownMaps(image: string): Promise<string[]> {
  const stem = (name: string): string => name.replace(IMAGE, '');
  const { dir, base } = path.parse(path.resolve(image));
  const shared = (await readdir(dir)).some((name) => name !== base && IMAGE.test(name) && stem(name) === stem(base));
  return shared ? [`${image}.bmap`] : [bmapFileOf(image), ...bmapFilesOf(image)];
}

/** What flashers would take for its map, and is no other image's. */
export async function removeMaps(image: string): Promise<void> {
  for (const file of await ownMaps(image)) await rm(file, { force: true });
}

async function writeMap(image: string, text: string): Promise<void> {
  const [file = ''] = await ownMaps(image);
  await writeFile(file, text);
}

/** Whether it may be that of the image at all: one of another length is an older one's. */
export async function isMapOf({ map }: MapBeside, image: string): Promise<boolean> {
  return (await stat(image)).size === map.imageSize;
}

/**
 * Writes the map of an image beside the same image with `changes` made, `target`: what they touch is mapped, and has no checksum. False where
 * it cannot be said, the map having smaller blocks than those of piimg.
 */
export async function writeChangedMap({ map }: MapBeside, target: string, changes: Change[]): Promise<boolean> {
  const { imageSize, blockSize, ranges } = map;
  if (blockSize % BMAP_BLOCK !== 0) return false;
  const changed = changes.map(({ offset, content }) => ({ offset, length: content.length }));
  const mapped = covering(ranges, changed).map(({ sum, offset, length }) => {
    const same = sum?.type === 'sha256' && !changed.some((one) => overlap(one, { offset, length }));
    return { offset, length: wholeBlocks(length), ...(same && { sha256: sum.hex }) };
  });
  await writeMap(target, bmapXml(imageSize, mapped));
  return true;
}

/**
 * Copies it where it fits the copy `out` as well: a map that has checksums of the seed's slots does not, nor one of files that somebody has
 * moved. One that lay beside an older `out` goes.
 */
export async function copyMap(beside: MapBeside | undefined, out: string): Promise<void> {
  await removeMaps(out);
  if (beside !== undefined && (await fits(beside.map, out))) await writeMap(out, beside.text);
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
