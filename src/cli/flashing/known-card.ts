// What piimg has flashed onto a card before, for whoever is to agree that it is overwritten.
import { CARD_RECORD, parseCardRecord, type CardRecord } from '../../flash/card-record.ts';
import { within } from '../../lib/within.ts';
import type { Opener } from './opener.ts';
import { findSlots, withCard } from '../seed-card.ts';

/** Milliseconds: a card that does not answer is the writer's to tell of. */
const PATIENCE = 3000;

/** Its record; undefined where it holds no whole image of piimg's, it cannot be read, or this user may not look. */
export const recordOn = (disk: string, opener: Opener): Promise<CardRecord | undefined> =>
  within(PATIENCE, read(disk, opener)).catch(() => undefined);

const read = (disk: string, opener: Opener): Promise<CardRecord | undefined> =>
  withCard(disk, { opener }, async (card) => {
    // What was written to it since, if anything, has no slots.
    await findSlots(card);
    const { offset, length } = CARD_RECORD;
    const buffer = Buffer.alloc(length);
    const { bytesRead } = await card.handle.read(buffer, 0, length, offset);
    return parseCardRecord(buffer.subarray(0, bytesRead));
  });
