// An image or a card as `piimg seed` sees it: its header, its boot partition, and where the seed's files lie there now.
import type { FileHandle } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { CARD_RECORD, parseCardRecord } from '../flash/card-record.ts';
import { findInFat, freeClusters, listFat, openFat, readFromFat, type FatEntry, type FatVolume } from '../image/fat.ts';
import { HEADER_MAX, hasPlaces, parseHeader, type ImageHeader } from '../image/header.ts';
import { HEADER_LBA } from '../image/layout.ts';
import { parseMbr, SECTOR } from '../image/mbr.ts';
import { readerOf, type Positioned } from '../image/ranges.ts';
import { EXIT, PiimgError, type ExitCode } from '../lib/errors.ts';
import type { CloudInitSchemas } from '../seed/check.ts';
import { describeSeed, type SeedDescription } from '../seed/describe.ts';
import { NODE_SLOTS, type NodeSlot } from '../seed/node-slots.ts';
import type { Opener } from './flashing/opener.ts';
import { withImageFile, withWritableFile, type OpenImageFile } from './open-image-file.ts';

export interface SeedCard<Handle extends Positioned = Positioned> {
  file: string;
  /** A device, not a file. */
  block: boolean;
  handle: Handle;
  header: ImageHeader;
  /** Byte where the boot partition begins. */
  start: number;
}

/** Where the machine tells how its first boot went (firstboot/paths.ts). */
export const RESULT_FILE = 'piimg-result.json';
/** Far more than the agent has room for. */
const RESULT_MAX = 1 << 20;

/** A file of the seed: how long it is to be, and where it lies now, which need not be where the build has put it. */
export interface FoundSlot {
  name: NodeSlot;
  length: number;
  entry: FatEntry | undefined;
}

/** Where the build puts cloud-init's own schemas, each for a document of the seed. */
const SCHEMAS: Record<keyof CloudInitSchemas, string> = {
  cloudConfig: 'piimg/schema-cloud-config-v1.json.gz',
  networkConfig: 'piimg/schema-network-config-v2.json.gz',
};
/** cloud-init 25.1's are 150 kB; far more is no schema. */
const SCHEMA_MAX = 16 << 20;

/**
 * Opens an image or a card for the time of `work`. Throws PiimgError: with `exitCode` when piimg has not made it; as
 * `withImageFile`.
 */
export const withCard = <T>(
  file: string,
  { exitCode, opener }: { exitCode?: ExitCode; opener?: Opener | undefined },
  work: (card: SeedCard) => Promise<T>,
): Promise<T> => withImageFile(file, opener, (opened) => asCard(file, opened, exitCode, work));

/** The same to be written to. */
export const withWritableCard = <T>(
  file: string,
  { exitCode }: { exitCode?: ExitCode },
  work: (card: SeedCard<FileHandle>) => Promise<T>,
): Promise<T> => withWritableFile(file, (opened) => asCard(file, opened, exitCode, work));

async function asCard<T, Handle extends Positioned>(
  file: string,
  { handle, block }: OpenImageFile<Handle>,
  exitCode: ExitCode = EXIT.usage,
  work: (card: SeedCard<Handle>) => Promise<T>,
): Promise<T> {
  try {
    const header = parseHeader(await upTo(handle, HEADER_LBA * SECTOR, HEADER_MAX));
    if (header === undefined) {
      throw new PiimgError(`${file} is no image or card that piimg has made`, {
        exitCode,
        hint: 'A packed image (.xz, .zst, .gz) has to be unpacked first; of a card the whole device is named, no partition.',
      });
    }
    const beginning = await readerOf(handle)(0, SECTOR);
    await requireFinished(file, handle, beginning);
    return await work({ file, block, handle, header, start: startOf(file, beginning) * SECTOR });
  } catch (error) {
    // What the tables of a damaged card lead to.
    if (!(error instanceof RangeError || error instanceof SyntaxError)) throw error;
    throw new PiimgError(`The boot partition of ${file} cannot be read: ${error.message}`, { cause: error });
  }
}

/** Sector of the first partition. */
function startOf(file: string, beginning: Buffer): number {
  try {
    return parseMbr(beginning).entries[0]?.start ?? 0;
  } catch (error) {
    if (!(error instanceof PiimgError)) throw error;
    throw new PiimgError(`${file} held an image of piimg once, and has no partition table any more`, {
      hint: 'Something has written over it since. Flash it again.',
      cause: error,
    });
  }
}

/** Throws PiimgError where the first sector, `first`, is empty: the first block is written last. */
export async function requireFinished(file: string, handle: Positioned, first: Buffer): Promise<void> {
  if (first.some((byte) => byte !== 0)) return;
  const record = parseCardRecord(await upTo(handle, CARD_RECORD.offset, CARD_RECORD.length));
  const what =
    record && `${record.node ?? record.role ?? 'no node'}, begun at ${record.written}, card ${record.cardId}: `;
  throw new PiimgError(
    `${file} was not finished when it was flashed (${what ?? ''}its first block is empty), and boots nowhere`,
    {
      hint: 'Flash it again. Why it ended is in the ledger: piimg ledger.',
    },
  );
}

/** Fewer bytes when it ends before. */
export async function upTo(handle: Positioned, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await handle.read(buffer, 0, length, offset);
  return buffer.subarray(0, bytesRead);
}

const bootPartition = ({ handle, start }: SeedCard): Promise<FatVolume> => openFat(readerOf(handle), start);

/** In the root of each boot partition that piimg has made, and in no other. */
const OURS = ['piimg', 'piimg.json', RESULT_FILE];

/**
 * Whether a header before the first partition is of the system that lies there, by names in the root of its boot partition: what other
 * flashers write with a block map leaves the header of an earlier image of piimg's where it was.
 */
export const isOfHeader = async (boot: FatVolume): Promise<boolean> =>
  (await listFat(boot)).some(({ name }) => OURS.includes(name.toLowerCase()));

/** On a base whose own first boot is told, only the agent's. */
const slotsIn = (header: ImageHeader): readonly NodeSlot[] => (hasPlaces(header) ? NODE_SLOTS : ['piimg.json']);

/**
 * The files of the seed, in the order of `NODE_SLOTS`. Throws PiimgError when the image is older than one of them, and (refused) when
 * something else has been written to the card since.
 */
export async function findSlots(card: SeedCard): Promise<FoundSlot[]> {
  const volume = await bootPartition(card);
  if (!(await isOfHeader(volume))) {
    throw new PiimgError(`${card.file} held an image of piimg once, and has another one now`, {
      exitCode: EXIT.refused,
      hint: 'piimg customize gives other images an identity. If piimg has made this one: flash it again, its boot partition has lost what is piimg’s.',
    });
  }
  const slots: FoundSlot[] = [];
  for (const name of slotsIn(card.header)) {
    const length = card.header.slots.find((slot) => slot.name === name)?.length;
    if (length === undefined) {
      throw new PiimgError(`${card.file} has no place for ${name}`, { hint: 'Build the image again with this piimg.' });
    }
    const entry = await findInFat(volume, name);
    if (entry?.directory) {
      throw new PiimgError(`On the boot partition of ${card.file}, ${name} is a folder`, { hint: 'Remove it.' });
    }
    slots.push({ name, length, entry });
  }
  return slots;
}

/** Bytes that no file has. */
export async function freeBytes(card: SeedCard): Promise<number> {
  const volume = await bootPartition(card);
  return (await freeClusters(volume)) * volume.clusterBytes;
}

/** Documents that say nothing. */
const EMPTY = { 'user-data': '#cloud-config\n', 'meta-data': '', 'network-config': '' };

/** What the files of the seed say; those that are gone are absent. */
export async function readTexts(card: SeedCard): Promise<Partial<Record<NodeSlot, string>>> {
  const volume = await bootPartition(card);
  // What was never there is not missed.
  const texts: Partial<Record<NodeSlot, string>> = hasPlaces(card.header) ? {} : { ...EMPTY };
  for (const { name, entry } of await findSlots(card)) {
    if (entry !== undefined) texts[name] = (await readFromFat(volume, entry)).toString('utf8');
  }
  return texts;
}

/** What it carries; of what its base's own first boot is told, only that it is so. */
export async function describeCard(card: SeedCard): Promise<SeedDescription> {
  const described = describeSeed(await readTexts(card));
  return hasPlaces(card.header) ? described : { ...described, firstBoot: 'own' };
}

/** The result's place, as long as it is there. */
export async function findResult(card: SeedCard): Promise<Pick<FoundSlot, 'length' | 'entry'> | undefined> {
  const entry = await findInFat(await bootPartition(card), RESULT_FILE);
  return entry === undefined || entry.directory || entry.size > RESULT_MAX ? undefined : { length: entry.size, entry };
}

/** A file of the boot partition; undefined when it is not there. */
export async function readBootFile(card: SeedCard, name: string): Promise<string | undefined> {
  const volume = await bootPartition(card);
  const entry = await findInFat(volume, name);
  return entry === undefined || entry.directory ? undefined : (await readFromFat(volume, entry)).toString('utf8');
}

/** The schemas that the image carries; one that is missing or unreadable is absent. */
export async function readSchemas(card: SeedCard): Promise<CloudInitSchemas> {
  const volume = await bootPartition(card);
  const schemas: CloudInitSchemas = {};
  for (const [kind, file] of Object.entries(SCHEMAS) as [keyof CloudInitSchemas, string][]) {
    const entry = await findInFat(volume, file);
    if (entry === undefined || entry.directory) continue;
    try {
      const text = gunzipSync(await readFromFat(volume, entry), { maxOutputLength: SCHEMA_MAX }).toString('utf8');
      schemas[kind] = JSON.parse(text) as unknown;
    } catch {
      // As if it were not there: that it was not used is said.
    }
  }
  return schemas;
}
