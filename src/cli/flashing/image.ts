// The image of a flash: where it is, how it is packed, how large it is, which blocks of it are to be written, what it says of itself.
import { fstatSync } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import type { parseBmap } from '../../flash/bmap.ts';
import { CARD_RECORD, isCardRecord } from '../../flash/card-record.ts';
import { readBeginning } from '../../flash/source/beginning.ts';
import { openSource, type Source } from '../../flash/source/source.ts';
import { BLOCK, covering, totalOf, type CheckedRange, type Range } from '../../flash/write/chunks.ts';
import { openFat } from '../../image/fat.ts';
import { HEADER_MAX, parseHeader, type ImageHeader } from '../../image/header.ts';
import { HEADER_LBA } from '../../image/layout.ts';
import { parseMbr, SECTOR } from '../../image/mbr.ts';
import { readerOf } from '../../image/ranges.ts';
import { EXIT, PiimgError } from '../../lib/errors.ts';
import { endOfSlots, seedInBeginning, type ImageSeed } from '../image-seed.ts';
import { isOfHeader } from '../seed-card.ts';
import { mapBeside } from '../seed-map.ts';
import { ownPlaces } from './own.ts';
import { tableDigest } from './record.ts';

export interface FlashImage {
  source: Source;
  /** Bytes; undefined where only its end tells. */
  size: number | undefined;
  /** Bytes that its partitions reach to. */
  reach: number;
  /** With fewer bytes it is cut off. */
  least: number;
  /** What is odd about it, though it can be written. */
  warnings: string[];
  /** What its block map names; undefined without one: all of it. */
  ranges: CheckedRange[] | undefined;
  /** Of an image that piimg has built. */
  header: ImageHeader | undefined;
  /** The seed that it carries, where the image is none that can be read at any place; undefined where it is not known. */
  carried: Omit<ImageSeed, 'schemas'> | undefined;
  /** Any other that was taken from a card of piimg's, whose record is in it still. */
  recorded: boolean;
  /** By what its cards are known before a machine has booted from them. */
  table: string;
}

/** Old tables end on a cylinder (255 heads of 63 sectors), which the image may only have begun. */
const CYLINDER = 255 * 63 * SECTOR;

/** Where images and cards of piimg say what they are. */
const SAID = [{ offset: HEADER_LBA * SECTOR, length: HEADER_MAX }, CARD_RECORD];
const GAP = CARD_RECORD.offset + CARD_RECORD.length;

export interface OpenOptions {
  /** What the file must come to, as it lies there. */
  sha256?: string | undefined;
  /** Whether cards will be written; else they are compared. */
  write?: boolean;
}

/** Throws PiimgError (usage) for what is no disk image, or only the beginning of one. */
export async function openImage(
  name: string,
  signal: AbortSignal,
  { sha256, write = true }: OpenOptions = {},
): Promise<FlashImage> {
  const opened = { ...(await openSource(name, { signal })), ...(sha256 !== undefined && { sha256 }) };
  const { source: begun, bytes } = await readBeginning(opened, GAP, signal);
  const { last, end } = tableIn(bytes, name);
  const said = parseHeader(bytes.subarray(HEADER_LBA * SECTOR, HEADER_LBA * SECTOR + HEADER_MAX));
  const { source, carried } = said ? await readCarried(begun, said, signal) : { source: begun };
  const header = carried === 'stale' || (said && (await isStale(begun))) ? undefined : said;
  const map = await findMap(source);
  // What is packed, or has a digest or a map, is whole by that: makers cut images behind the last file system, OpenWrt does.
  const vouched = !write || source.packing !== 'none' || sha256 !== undefined || map !== undefined;
  const least = vouched ? last + 1 : end % CYLINDER === 0 ? end - CYLINDER : end;
  const size = source.size ?? map?.imageSize;
  if (source.size !== undefined && map !== undefined && map.imageSize !== source.size) {
    throw new PiimgError(
      `${name} has ${source.size} bytes; its block map ${map.file} is of an image of ${map.imageSize}`,
      {
        exitCode: EXIT.usage,
        hint: 'One of the two is older, or cut off: build or copy both again, or move the .bmap away.',
      },
    );
  }
  const odd = size === undefined ? [] : oddEnd(name, size, { least, reach: end, last });
  const warnings = write ? odd : [];
  if (said && !header)
    warnings.push(`${shownName(source)} was a card that held an image of piimg once, and has another one now`);
  // Pieces begin on a block of any card; a map of smaller ones does not, and is not needed.
  const fits = map !== undefined && map.blockSize % BLOCK === 0;
  // The partition table, of which we have just seen that it is there, may be missing in a map; the first block is written last of all.
  // And no card keeps what an earlier image of piimg's said of itself there.
  const needed = [
    { offset: 0, length: BLOCK },
    ...(write && (size === undefined || size >= GAP) ? SAID : []),
    ...ownPlaces(header),
  ];
  const ranges = fits ? covering(map.ranges, needed) : undefined;
  const recorded = !header && isCardRecord(bytes.subarray(CARD_RECORD.offset, GAP));
  const table = tableDigest(bytes);
  const seed = carried === 'stale' ? undefined : carried;
  return { source, size, reach: end, least, warnings, ranges, header, carried: seed, recorded, table };
}

/** What it carries, of an image that is read once from its beginning to its end; its Source to go on with. */
async function readCarried(
  begun: Source,
  header: ImageHeader,
  signal: AbortSignal,
): Promise<{ source: Source; carried?: FlashImage['carried'] | 'stale' }> {
  const end = endOfSlots(header);
  if (end === undefined || isPlain(begun)) return { source: begun };
  const { source, bytes } = await readBeginning(begun, end, signal);
  return { source, carried: await seedInBeginning(source.name, header, bytes) };
}

/** How it is called in messages. */
export const shownName = ({ name }: Source): string => (name === '-' ? 'stdin' : name);

/** Whether it can be read at any place. */
export const isPlain = ({ kind, packing }: Source): boolean => kind === 'file' && packing === 'none';

/** The image with its size, which was found out later. Throws PiimgError (usage) where it is cut off. */
export const withSize = (image: FlashImage, size: number): FlashImage => ({
  ...image,
  size,
  warnings: [...image.warnings, ...oddEnd(image.source.name, size, image)],
});

/** What is odd about where it ends. `last`: where its last partition begins. Throws PiimgError (usage) for one that is cut off. */
function oddEnd(
  name: string,
  size: number,
  { least, reach, last = least }: Pick<FlashImage, 'least' | 'reach'> & { last?: number },
): string[] {
  if (size < least) {
    throw new PiimgError(`${name} is cut off: its partitions reach to byte ${reach}, it ends at ${size}`, {
      exitCode: EXIT.usage,
      hint: `Download, copy or build it again.${size > last ? ' If it is whole all the same: flash it packed, as its makers offer it, or name its digest, --sha256.' : ''}`,
    });
  }
  return size < reach - CYLINDER
    ? [`the partitions of ${name} reach to byte ${reach}, it ends at ${size}: taken for whole`]
    : [];
}

/** Whether the header of a plain image is of another system than lies behind it; of others `readCarried` tells, where they have slots. */
async function isStale(source: Source): Promise<boolean> {
  if (!isPlain(source)) return false;
  const file = await open(source.name);
  try {
    const read = readerOf(file);
    const [first] = parseMbr(await read(0, SECTOR)).entries;
    return !(await isOfHeader(await openFat(read, (first?.start ?? 0) * SECTOR)));
  } catch (error) {
    // What cannot be read says nothing.
    if (error instanceof PiimgError || error instanceof RangeError) return false;
    throw error;
  } finally {
    await file.close();
  }
}

const STDIN = '/proc/self/fd/0';

/** The file or the device that the image comes from, be it as stdin; undefined for a pipe and what is elsewhere. */
export async function keptFile({ source: { kind, name } }: FlashImage): Promise<string | undefined> {
  if (kind === 'file') return name;
  if (kind !== 'stdin' || process.platform !== 'linux') return undefined;
  const info = fstatSync(0);
  if (!info.isFile() && !info.isBlockDevice()) return undefined;
  // Its file may be deleted, or in a folder of somebody else's: it is that one all the same.
  return realpath(STDIN).catch(() => STDIN);
}

/** With all blocks of `patches` among those that are written, which a block map of the image need not name. */
export const coveringAll = (image: FlashImage, patches: Range[]): FlashImage => ({
  ...image,
  ranges: image.ranges && covering(image.ranges, patches),
});

/** Bytes that a card must have. Old tables may reach beyond an image by a part of a cylinder. */
export const neededBytes = ({ size = 0, reach }: FlashImage): number =>
  size < reach - CYLINDER ? reach : size || reach;

/** Bytes that are written to a card. */
export const mappedBytes = ({ ranges, size }: FlashImage): number | undefined =>
  ranges === undefined ? size : totalOf(ranges);

/** UEFI 2.10, 5.3.2: the header of a GPT, in the second sector. */
const GPT = Buffer.from('EFI PART');

/** Bytes: where the last of its partitions begins, and to where they reach. */
function tableIn(bytes: Buffer, name: string): { last: number; end: number } {
  const none = (): PiimgError =>
    new PiimgError(`${name} is no disk image: it has no partition table`, {
      exitCode: EXIT.usage,
      hint: 'A card needs the image of a whole disk, as .img, .img.xz, .gz, .zst or .zip. Is it a web page, or the file of one partition?',
    });
  if (bytes.length < 2 * SECTOR || bytes.readUInt16BE(510) !== 0x55aa) throw none();
  if (bytes.subarray(SECTOR, SECTOR + GPT.length).equals(GPT)) {
    const end = Number(bytes.readBigUInt64LE(SECTOR + 32) + 1n) * SECTOR;
    // It ends with a copy of its table.
    return { last: end - 1, end };
  }
  const { entries } = parseMbr(bytes.subarray(0, SECTOR));
  // Boot sectors of file systems end as those of disks do.
  if (entries.length === 0) throw none();
  return {
    last: Math.max(...entries.map(({ start }) => start)) * SECTOR,
    end: Math.max(...entries.map(({ start, sectors }) => start + sectors)) * SECTOR,
  };
}

async function findMap({ kind, name }: Source): Promise<(ReturnType<typeof parseBmap> & { file: string }) | undefined> {
  const beside = kind === 'file' ? await mapBeside(name) : undefined;
  return beside && { ...beside.map, file: beside.file };
}
