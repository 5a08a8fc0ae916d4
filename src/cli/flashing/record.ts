// The record by which a card is known: made while it is flashed, and found again, also where the image says nothing of itself.
import {
  CARD_RECORD,
  encodeCardRecord,
  isCardRecord,
  newCardId,
  parseCardRecord,
  type CardRecord,
} from '../../flash/card-record.ts';
import type { Patch } from '../../flash/write/types.ts';
import { volumeIdIn, type FatVolume } from '../../image/fat.ts';
import { HEADER_MAX, parseHeader } from '../../image/header.ts';
import { hex32 } from '../../image/ids.ts';
import { HEADER_LBA } from '../../image/layout.ts';
import { parseMbr, SECTOR, type MbrEntry } from '../../image/mbr.ts';
import type { Positioned, ReadAt } from '../../image/ranges.ts';
import { sha256 } from '../../lib/digest.ts';
import { PiimgError } from '../../lib/errors.ts';
import type { Layout } from '../../vendor/view.ts';
import { requireFinished, upTo } from '../seed-card.ts';

export interface NewRecord {
  cardId: string;
  patch: Required<Patch>;
}

export function newRecord(of: Pick<CardRecord, 'role' | 'buildId' | 'volume'>, node: string | undefined): NewRecord {
  const cardId = newCardId();
  const written = new Date().toISOString();
  const content = encodeCardRecord({ cardId, ...(node !== undefined && { node }), ...of, written });
  return { cardId, patch: { ...CARD_RECORD, content } };
}

/**
 * Of an image that somebody else made: undefined where that has something of its own at the record's place. A record that is there is that
 * of the card, or the file, which the image was taken from.
 */
export async function recordBeside(
  { layout, fat, read }: { layout: Layout; fat: FatVolume; read: ReadAt },
  node: string,
): Promise<NewRecord | undefined> {
  const { offset, length } = CARD_RECORD;
  const first = Math.min(...layout.partitions.map(({ start }) => start)) * SECTOR;
  if (layout.table !== 'mbr' || first < offset + length) return undefined;
  const there = await read(offset, length);
  if (!isCardRecord(there) && there.some((byte) => byte !== 0)) return undefined;
  return newRecord({ volume: hex32(volumeIdIn(await read(fat.metadata.offset, SECTOR))) }, node);
}

/** What an image or a card says of itself, before its file systems are looked into. */
export interface Said {
  /** Whether it has the header of an image that piimg has built; such a card's record belongs to that. */
  header: boolean;
  /** Of another image: its record, if it has one. */
  record?: CardRecord;
  /** As `tableDigest`. */
  table: string;
}

/** In the first sector: behind the code that boots, the disk's id and its partitions. */
const TABLE = 440;

/** sha256 of the disk's id and the partition table in `first`, a beginning of a disk: what a first boot changes. */
export const tableDigest = (first: Buffer): string => sha256(first.subarray(TABLE, SECTOR));

/** Throws PiimgError for a card with a record whose flash was not finished. */
export async function sayingOf(name: string, handle: Positioned): Promise<Said> {
  const first = await upTo(handle, 0, SECTOR);
  const table = tableDigest(first);
  if (parseHeader(await upTo(handle, HEADER_LBA * SECTOR, HEADER_MAX)) !== undefined) return { header: true, table };
  const record = recordIn(await upTo(handle, CARD_RECORD.offset, CARD_RECORD.length));
  if (record?.volume === undefined) return { header: false, table };
  await requireFinished(name, handle, first);
  const isOfIt = (await volumesOf(handle, first)).includes(record.volume);
  return { header: false, table, ...(isOfIt && { record }) };
}

/** A damaged one tells nothing. */
function recordIn(bytes: Buffer): CardRecord | undefined {
  try {
    return parseCardRecord(bytes);
  } catch (error) {
    if (error instanceof PiimgError) return undefined;
    throw error;
  }
}

/** The serial numbers of its FATs: what writes another image by a block map leaves the gap before the first partition as it was. */
async function volumesOf(handle: Positioned, first: Buffer): Promise<string[]> {
  const volumes: string[] = [];
  for (const { start } of entriesIn(first)) {
    const boot = await upTo(handle, start * SECTOR, SECTOR);
    if (boot.length === SECTOR) volumes.push(hex32(volumeIdIn(boot)));
  }
  return volumes;
}

function entriesIn(first: Buffer): MbrEntry[] {
  try {
    return parseMbr(first).entries;
  } catch (error) {
    if (error instanceof PiimgError) return [];
    throw error;
  }
}
