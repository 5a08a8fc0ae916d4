// The record by which a flashed card is known: in the gap before the first partition, behind the header of the image.
import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import { sha256 } from '../lib/digest.ts';
import { PiimgError } from '../lib/errors.ts';

const record = z.object({
  /** Behind a USB reader, the one number that is the card's own. */
  cardId: z.string().regex(/^[0-9a-f]{16}$/),
  node: z.string().optional(),
  /** Of an image that piimg has built. */
  role: z.string().optional(),
  buildId: z.string().optional(),
  /** Of any other: the serial number of its boot partition's FAT. What has another one was written since. */
  volume: z
    .string()
    .regex(/^[0-9a-f]{8}$/)
    .optional(),
  /** When it was flashed, ISO 8601 in UTC. */
  written: z.iso.datetime(),
});
export type CardRecord = z.output<typeof record>;

/**
 * LBA 256: the image's header, from LBA 64 on, has 64 KiB at most (src/image/header.ts), and ends before LBA 192; the first partition is far
 * behind. One block of 4096 bytes, as direct I/O wants it.
 */
export const CARD_RECORD = { offset: 256 * 512, length: 4096 } as const;

//  | 0 magic | 8 version | 12 payload length | 16 sha256 of the payload | 48 zeros | 64 payload: JSON | zeros to 4096 |
const MAGIC = Buffer.from('PIIMGCRD', 'latin1');
const VERSION = 1;
const PAYLOAD = 64;

/** 16 hex digits that no other card has. */
export const newCardId = (): string => randomBytes(8).toString('hex');

/** The block, to be written at CARD_RECORD. Throws PiimgError when it would be longer, ZodError for what is no record. */
export function encodeCardRecord(card: CardRecord): Buffer {
  const payload = Buffer.from(JSON.stringify(record.parse(card)));
  if (PAYLOAD + payload.length > CARD_RECORD.length) throw new PiimgError('The card record is longer than 4096 bytes.');
  const bytes = Buffer.alloc(CARD_RECORD.length);
  MAGIC.copy(bytes);
  bytes.writeUInt32LE(VERSION, 8);
  bytes.writeUInt32LE(payload.length, 12);
  Buffer.from(sha256(payload), 'hex').copy(bytes, 16);
  payload.copy(bytes, PAYLOAD);
  return bytes;
}

/** Whether `bytes`, which start at CARD_RECORD, begin as a record does, be it a damaged or a newer one. */
export const isCardRecord = (bytes: Buffer): boolean => bytes.subarray(0, MAGIC.length).equals(MAGIC);

/**
 * The record in `bytes`, which start at CARD_RECORD; `undefined` when there is none. Throws PiimgError when there is one but it is damaged, or
 * of a newer piimg.
 */
export function parseCardRecord(bytes: Buffer): CardRecord | undefined {
  if (!isCardRecord(bytes)) return undefined;
  const damaged = (why: string): PiimgError =>
    new PiimgError(`The card's record is damaged: ${why}.`, { hint: 'Flash the card again.' });
  if (bytes.length < PAYLOAD) throw damaged('it is cut off');
  const version = bytes.readUInt32LE(8);
  if (version !== VERSION) {
    throw new PiimgError(`The card's record is of version ${version}; this piimg knows version ${VERSION}.`, {
      hint: 'Use the piimg that has flashed the card, or a newer one.',
    });
  }
  const length = bytes.readUInt32LE(12);
  const payload = bytes.subarray(PAYLOAD, PAYLOAD + length);
  if (payload.length !== length || sha256(payload) !== bytes.toString('hex', 16, 48)) {
    throw damaged('its checksum is wrong');
  }
  const parsed = record.safeParse(jsonOf(payload));
  if (!parsed.success) throw damaged('it is no record');
  return parsed.data;
}

function jsonOf(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'));
  } catch {
    return undefined;
  }
}
