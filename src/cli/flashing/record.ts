// The record by which a card is known: made while it is flashed, and found again where the image says nothing of itself.
import { CARD_RECORD, encodeCardRecord, newCardId, parseCardRecord, type CardRecord } from '../../flash/card-record.ts';
import type { Patch } from '../../flash/write/types.ts';
import { openFat, volumeIdOf, type FatVolume } from '../../image/fat.ts';
import { parseMbr, SECTOR } from '../../image/mbr.ts';
import { readerOf, type Positioned, type ReadAt } from '../../image/ranges.ts';
import { hex32 } from '../../image/ids.ts';
import { PiimgError } from '../../lib/errors.ts';
import type { Partition } from '../../vendor/view.ts';

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

/** Of an image that somebody else made: undefined where that has something of its own at the record's place. */
export async function recordBeside(
  { partitions, fat, read }: { partitions: Partition[]; fat: FatVolume; read: ReadAt },
  node: string,
): Promise<NewRecord | undefined> {
  const { offset, length } = CARD_RECORD;
  const first = Math.min(...partitions.map(({ start }) => start)) * SECTOR;
  if (first < offset + length || (await read(offset, length)).some((byte) => byte !== 0)) return undefined;
  return newRecord({ volume: hex32(await volumeIdOf(fat)) }, node);
}

/**
 * The record of a card whose image somebody else made: of the very FAT that is on it now. What writes another image leaves the gap before its
 * first partition as it was, if it goes by a block map.
 */
export async function recordOfForeign(handle: Positioned): Promise<CardRecord | undefined> {
  const read = readerOf(handle);
  try {
    const record = parseCardRecord(await read(CARD_RECORD.offset, CARD_RECORD.length));
    if (record?.volume === undefined) return undefined;
    for (const { start } of parseMbr(await read(0, SECTOR)).entries) {
      const fat = await openFat(read, start * SECTOR).catch(() => undefined);
      if (fat && hex32(await volumeIdOf(fat)) === record.volume) return record;
    }
    return undefined;
  } catch (error) {
    // Cut off, damaged, or without a partition table: it is not known.
    if (error instanceof PiimgError || error instanceof RangeError) return undefined;
    throw error;
  }
}
