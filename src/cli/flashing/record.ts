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
import { openFat, volumeIdOf, type FatVolume } from '../../image/fat.ts';
import { HEADER_MAX, parseHeader } from '../../image/header.ts';
import { hex32 } from '../../image/ids.ts';
import { HEADER_LBA } from '../../image/layout.ts';
import { parseMbr, SECTOR } from '../../image/mbr.ts';
import { readerOf, type Positioned, type ReadAt } from '../../image/ranges.ts';
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
  node: string | undefined,
): Promise<NewRecord | undefined> {
  const { offset, length } = CARD_RECORD;
  const first = Math.min(...layout.partitions.map(({ start }) => start)) * SECTOR;
  if (layout.table !== 'mbr' || first < offset + length) return undefined;
  const there = await read(offset, length);
  if (!isCardRecord(there) && there.some((byte) => byte !== 0)) return undefined;
  return newRecord({ volume: hex32(await volumeIdOf(fat)) }, node);
}

/** What an image or a card says of itself, before its file systems are looked into. */
export interface Said {
  /** Whether it has the header of an image that piimg has built; such a card's record belongs to that. */
  header: boolean;
  /** Of another image: its record, if it has one. */
  record?: CardRecord;
  /** sha256 of its first sector, where it has any. */
  table?: string;
}

/** Throws PiimgError for a card with a record whose flash was not finished. */
export async function sayingOf(name: string, handle: Positioned): Promise<Said> {
  const first = await upTo(handle, 0, SECTOR);
  const table = first.length === SECTOR ? { table: sha256(first) } : {};
  if (parseHeader(await upTo(handle, HEADER_LBA * SECTOR, HEADER_MAX)) !== undefined) return { header: true, ...table };
  const record = recordIn(await upTo(handle, CARD_RECORD.offset, CARD_RECORD.length));
  if (record?.volume === undefined) return { header: false, ...table };
  await requireFinished(name, handle, first);
  const isOfIt = (await volumesOf(handle, first)).includes(record.volume);
  return { header: false, ...table, ...(isOfIt && { record }) };
}

/** The record in `bytes`, which start at CARD_RECORD; a damaged one tells nothing. */
export function recordIn(bytes: Buffer): CardRecord | undefined {
  try {
    return parseCardRecord(bytes);
  } catch (error) {
    if (error instanceof PiimgError) return undefined;
    throw error;
  }
}

/** The serial numbers of its FATs: what writes another image by a block map leaves the gap before the first partition as it was. */
async function volumesOf(handle: Positioned, first: Buffer): Promise<string[]> {
  const read = readerOf(handle);
  try {
    const found = await Promise.all(
      parseMbr(first).entries.map(async ({ start }) => {
        const fat = await openFat(read, start * SECTOR).catch(() => undefined);
        return fat === undefined ? [] : [hex32(await volumeIdOf(fat))];
      }),
    );
    return found.flat();
  } catch (error) {
    if (error instanceof PiimgError || error instanceof RangeError) return [];
    throw error;
  }
}
