// What piimg has flashed onto a card before, for whoever is to agree that it is overwritten.
import { CARD_RECORD, parseCardRecord, type CardRecord } from '../../flash/card-record.ts';
import { within } from '../../lib/within.ts';
import type { Opener } from './opener.ts';
import { sayingOf } from './record.ts';
import { withImageFile } from '../open-image-file.ts';
import { findSlots, upTo, withCard } from '../seed-card.ts';

/** Milliseconds: a card that does not answer is the writer's to tell of. */
const PATIENCE = 3000;

/**
 * The record of each; undefined where a disk holds nothing whole that piimg has given one, it cannot be read, or this user may not look. One after the other:
 * one that hangs has a thread of Node's until it is taken out, of which there are four, so that no further one is asked then.
 */
export async function recordsOn(disks: string[], opener: Opener): Promise<(CardRecord | undefined)[]> {
  const records: (CardRecord | undefined)[] = [];
  let answers = true;
  for (const disk of disks) {
    const found: Found | undefined = answers ? await within(PATIENCE, read(disk, opener)) : undefined;
    answers &&= found !== undefined;
    records.push(found?.record);
  }
  return records;
}

type Found = { record?: CardRecord | undefined };

const read = async (disk: string, opener: Opener): Promise<Found> => {
  try {
    return { record: await recordOn(disk, opener) };
  } catch {
    return {};
  }
};

async function recordOn(disk: string, opener: Opener): Promise<CardRecord | undefined> {
  const { header, record } = await withImageFile(disk, opener, ({ handle }) => sayingOf(disk, handle));
  if (!header) return record;
  return withCard(disk, { opener }, async (card) => {
    // What was written to it since, if anything, has no slots.
    await findSlots(card);
    return parseCardRecord(await upTo(card.handle, CARD_RECORD.offset, CARD_RECORD.length));
  });
}
