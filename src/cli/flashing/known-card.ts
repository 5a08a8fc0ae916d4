// What piimg has flashed onto a card before, for whoever is to agree that it is overwritten.
import { open } from 'node:fs/promises';
import { CARD_RECORD, parseCardRecord, type CardRecord } from '../../flash/card-record.ts';
import { within } from '../../lib/within.ts';

/** Milliseconds: a card that does not answer is the writer's to tell of. */
const PATIENCE = 1000;

/** Its record; undefined where it has none that can be read, or this user may not look. */
export const recordOn = (disk: string): Promise<CardRecord | undefined> =>
  within(PATIENCE, read(disk)).catch(() => undefined);

async function read(disk: string): Promise<CardRecord | undefined> {
  const handle = await open(disk);
  try {
    const { offset, length } = CARD_RECORD;
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, offset);
    return parseCardRecord(buffer.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}
