// The header in the gap before the first partition, by which an image describes itself.
import { PiimgError } from '../lib/errors.ts';
import { sha256 } from '../lib/digest.ts';
import type { Partition, SeedSlot } from './manifest.ts';

/** What can be known about an image from its bytes alone. */
export interface ImageHeader {
  buildId: string;
  role: string;
  base: string;
  slots: SeedSlot[];
  partitions: Partition[];
  /** Seconds since 1970: the build's SOURCE_DATE_EPOCH. */
  created: number;
  /** Users of the role whom ssh lets in with a key, whatever seed a card gets. Older images do not tell. */
  logins?: string[];
  /** Whether it is built on a Raspberry Pi OS: its cloud-init and its network want other words. */
  raspberryPi?: boolean;
  /** Its cards are told who they are in the format of its base's own first boot, not by what lies in slots; there is one for the agent alone. */
  firstBoot?: 'own';
  /** There: names of the role's own users, whom that first boot must not take for its first one. */
  users?: string[];
}

/** Whether a card's identity has places in the image that are known beforehand, whatever the image is packed in. */
export const hasPlaces = (header: ImageHeader | undefined): boolean =>
  header !== undefined && header.firstBoot !== 'own';

//  | 0 magic | 8 version | 12 payload length | 16 sha256 of the payload | 48 zeros | 64 payload: JSON |
const MAGIC = Buffer.from('PIIMGHDR', 'latin1');
const VERSION = 1;
const PAYLOAD = 64;
/** Enough to read the longest header at once; far below the 8 MiB gap. */
export const HEADER_MAX = 64 * 1024;

/** The header's bytes, to be written at HEADER_LBA. */
export function encodeHeader(header: ImageHeader): Buffer {
  const payload = Buffer.from(JSON.stringify(header));
  if (PAYLOAD + payload.length > HEADER_MAX) throw new PiimgError('The image header is longer than 64 KiB.');
  const bytes = Buffer.alloc(PAYLOAD + payload.length);
  MAGIC.copy(bytes);
  bytes.writeUInt32LE(VERSION, 8);
  bytes.writeUInt32LE(payload.length, 12);
  Buffer.from(sha256(payload), 'hex').copy(bytes, 16);
  payload.copy(bytes, PAYLOAD);
  return bytes;
}

/**
 * The header in `bytes`, which start at HEADER_LBA; `undefined` when no piimg image is there.
 * Throws PiimgError when there is one but it is damaged, or of a newer piimg.
 */
export function parseHeader(bytes: Buffer): ImageHeader | undefined {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const version = bytes.readUInt32LE(8);
  if (version !== VERSION) {
    throw new PiimgError(`The image's header is of version ${version}; this piimg knows version ${VERSION}.`, {
      hint: 'Use the piimg that made the image, or a newer one.',
    });
  }
  const length = bytes.readUInt32LE(12);
  const payload = bytes.subarray(PAYLOAD, PAYLOAD + length);
  if (payload.length !== length || sha256(payload) !== bytes.toString('hex', 16, 48)) {
    throw new PiimgError("The image's header is damaged: its checksum is wrong.", {
      hint: 'Copy or build the image again.',
    });
  }
  return JSON.parse(payload.toString('utf8')) as ImageHeader;
}
