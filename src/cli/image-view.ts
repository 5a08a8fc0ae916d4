// Opens an image or a card that somebody else made: src/image's readers under the files that src/vendor looks at.
import { packingOf, type Packing } from '../flash/source/packing.ts';
import { openExt4, type Ext4Volume } from '../image/ext4-inodes.ts';
import { fatLabel, listFat, openFat, type FatVolume } from '../image/fat.ts';
import { isProtective, readGpt } from '../image/gpt.ts';
import { HEADER_MAX, parseHeader } from '../image/header.ts';
import { HEADER_LBA } from '../image/layout.ts';
import { parseMbr, partuuid, SECTOR } from '../image/mbr.ts';
import { hex32 } from '../image/ids.ts';
import { readerOf, type ReadAt } from '../image/ranges.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import { quote } from '../lib/quote.ts';
import { chooseBoot, chooseRoot } from '../vendor/layout.ts';
import type { Ext4Facts, FatFacts, ImageView, Layout, Partition } from '../vendor/view.ts';
import type { Opener } from './flashing/opener.ts';
import { ext4Files, fatFiles } from './image-view-files.ts';
import { withImageFile, type OpenImageFile } from './open-image-file.ts';
import { isOfHeader } from './seed-card.ts';

/** What lies under an ImageView, for whoever has to read or write more than files. */
export interface OpenedImage {
  /** A device, not a file. */
  block: boolean;
  read: ReadAt;
  fat: FatVolume;
  ext4: Ext4Volume;
}

const UNPACK: Record<Exclude<Packing, 'none'>, (file: string) => string[]> = {
  xz: (file) => ['xz', '-dk', file],
  gz: (file) => ['gunzip', '-k', file],
  zst: (file) => ['zstd', '-d', file],
  zip: (file) => ['unzip', file],
};

/**
 * Opens a raw image or a card, for reading, for the time of `work`. Throws PiimgError: as `withImageFile`, usage for what is packed (the
 * hint unpacks it), failed for one without partition table, FAT or ext4, cut off or damaged.
 */
export async function withImageView<T>(
  file: string,
  work: (view: ImageView, opened: OpenedImage) => Promise<T>,
  opener?: Opener,
): Promise<T> {
  return withImageFile(file, opener, (opened) => withView(file, opened, work));
}

/** The same of one that is open. */
export const withView = <T>(
  file: string,
  { handle, block, size }: OpenImageFile,
  work: (view: ImageView, opened: OpenedImage) => Promise<T>,
): Promise<T> =>
  orDamaged(file, async () => {
    const { view, opened } = await openImage(file, readerOf(handle), { size, block });
    return work(view, opened);
  });

/** What the tables of a damaged image lead to is said as that. Throws PiimgError. */
export async function orDamaged<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new PiimgError(`${file} is damaged or cut off: ${error.message}`, {
      hint: 'Download or copy it again.',
      cause: error,
    });
  }
}

async function openImage(
  file: string,
  read: ReadAt,
  { size, block }: { size: number; block: boolean },
): Promise<{ view: ImageView; opened: OpenedImage }> {
  const beginning = await read(0, Math.min(size, SECTOR));
  const packing = packingOf(beginning, file);
  if (packing !== 'none') {
    throw new PiimgError(`${file} is packed`, {
      exitCode: EXIT.usage,
      hint: `Unpack it, then name the image: ${quote(UNPACK[packing](file))}`,
    });
  }
  const notes: string[] = [];
  const layout = { size, ...(await readTable(read, beginning)) };
  const fats: { facts: FatFacts; names: string[]; volume: FatVolume }[] = [];
  const ext4s: { facts: Ext4Facts; volume: Ext4Volume }[] = [];
  for (const partition of layout.partitions) {
    requireWhole(file, partition, size);
    const offset = partition.start * SECTOR;
    const magic = await read(offset, 2048);
    const place = { partition: partition.number, offset };
    if (magic.readUInt16LE(1024 + 0x38) === 0xef53) {
      const volume = await openExt4(read, offset, ({ message, hint }) => notes.push(`${message} ${hint ?? ''}`.trim()));
      const { label, uuid, features, block: blockBytes, length } = volume;
      if (offset + length > size) throw cutOff(file, partition.number, offset + length, size);
      ext4s.push({ facts: { kind: 'ext4', ...place, length, label, uuid, features, blockBytes }, volume });
    } else {
      const volume = await openFat(read, offset).catch((error: unknown) => {
        if (isOfImage(error)) return undefined;
        throw error;
      });
      if (volume === undefined) continue;
      const { bits, clusterBytes, length } = volume;
      const names = (await listFat(volume)).map(({ name }) => name);
      const label = await fatLabel(volume);
      fats.push({ facts: { kind: 'fat', ...place, length, label, bits, clusterBytes }, names, volume });
    }
  }
  const { chosen: fat, why: whyBoot } = chooseBoot(fats);
  const bootFiles = fatFiles(fat.volume);
  const cmdline = (await bootFiles.read('cmdline.txt'))?.toString() ?? '';
  const { chosen: ext4, why: whyRoot } = chooseRoot(ext4s, { cmdline, partitions: layout.partitions });
  const view: ImageView = {
    layout,
    boot: { facts: fat.facts, files: bootFiles, why: whyBoot },
    root: { facts: ext4.facts, files: ext4Files(read, ext4.volume), why: whyRoot },
    notes,
  };
  const header = await headerOf(read, size, notes);
  if (header && (await isOfHeader(fat.volume))) {
    const { role, base, buildId, firstBoot, users = [] } = header;
    view.piimg = { role, base, buildId, ...(firstBoot && { firstBoot, users }) };
  } else if (header) {
    notes.push(`It held an image of piimg once (role ${header.role}), and has another one now.`);
  }
  return { view, opened: { block, read, fat: fat.volume, ext4: ext4.volume } };
}

async function readTable(read: ReadAt, first: Buffer): Promise<Omit<Layout, 'size'>> {
  if (first.length === SECTOR && first.readUInt16BE(510) === 0x55aa && isProtective(first)) {
    const { diskId, entries } = await readGpt(read);
    return { table: 'gpt', diskId, partitions: entries.map(({ name: _, ...partition }) => partition) };
  }
  const { diskId, entries } = parseMbr(first);
  const partitions = entries.map(({ number, type, start, sectors }): Partition => {
    return {
      number,
      start,
      sectors,
      type: `0x${type.toString(16).padStart(2, '0')}`,
      partuuid: partuuid(diskId, number),
    };
  });
  return { table: 'mbr', diskId: hex32(diskId), partitions };
}

function requireWhole(file: string, { number, start, sectors }: Partition, size: number): void {
  const end = (start + sectors) * SECTOR;
  if (end > size) throw cutOff(file, number, end, size);
}

function cutOff(file: string, partition: number, end: number, size: number): PiimgError {
  return new PiimgError(`${file} is cut off: partition ${partition} goes to byte ${end}, but there are ${size}`, {
    hint: 'Download or copy it again. If it is whole although it ends within its last partition, as images of OpenWrt are, it can be given no identity.',
  });
}

/** What is wrong with the image, and not that somebody has asked to stop. */
const isOfImage = (error: unknown): error is PiimgError =>
  error instanceof PiimgError && error.exitCode !== EXIT.interrupted;

/** piimg's own header; one that is damaged is a note, as it does not keep the image from being read. */
async function headerOf(read: ReadAt, size: number, notes: string[]): Promise<ReturnType<typeof parseHeader>> {
  const offset = HEADER_LBA * SECTOR;
  try {
    return parseHeader(await read(offset, Math.min(HEADER_MAX, size - offset)));
  } catch (error) {
    if (!isOfImage(error)) throw error;
    notes.push(error.message);
    return undefined;
  }
}
