// The partition table of a GPT disk, read only: piimg makes disks with an MBR.
import { crc32 } from 'node:zlib';
import { PiimgError } from '../lib/errors.ts';
import { SECTOR } from './mbr.ts';
import type { ReadAt } from './ranges.ts';

export interface GptEntry {
  number: number;
  /** GUIDs in lower case: of the kind of partition, and the one that the kernel calls PARTUUID. */
  type: string;
  partuuid: string;
  /** LBA and length in sectors of 512 bytes. */
  start: number;
  sectors: number;
  name: string;
}

/** UEFI specification 2.10, 5.3: header in LBA 1, entries where it says. */
const SIGNATURE = 'EFI PART';
const ENTRY_MIN = 128;
/** The specification's 128 and more than any tool makes. */
const MOST_ENTRIES = 1024;

/** Whether the first sector is the stand-in that keeps tools without knowledge of GPT away: an entry of type EE. */
export function isProtective(sector: Buffer): boolean {
  return [446, 462, 478, 494].some((at) => sector.readUInt8(at + 4) === 0xee);
}

/** The disk's GUID and the entries in use. Throws PiimgError when there is no header or a checksum is wrong. */
export async function readGpt(read: ReadAt): Promise<{ diskId: string; entries: GptEntry[] }> {
  const sector = await read(SECTOR, SECTOR);
  const length = sector.readUInt32LE(12);
  if (sector.toString('latin1', 0, 8) !== SIGNATURE || length < 92 || length > SECTOR)
    throw damaged('its header is gone');
  const header = Buffer.from(sector.subarray(0, length));
  header.writeUInt32LE(0, 16);
  if (crc32(header) !== sector.readUInt32LE(16)) throw damaged('the checksum of its header is wrong');
  const [count, size] = [sector.readUInt32LE(80), sector.readUInt32LE(84)];
  if (size < ENTRY_MIN || count > MOST_ENTRIES || size > SECTOR) throw damaged('its entries have no known form');
  const table = await read(Number(sector.readBigUInt64LE(72)) * SECTOR, count * size);
  if (crc32(table) !== sector.readUInt32LE(88)) throw damaged('the checksum of its entries is wrong');
  const entries: GptEntry[] = [];
  for (let number = 1; number <= count; number++) {
    const entry = table.subarray((number - 1) * size, number * size);
    if (entry.subarray(0, 16).every((byte) => byte === 0)) continue;
    const [start, end] = [Number(entry.readBigUInt64LE(32)), Number(entry.readBigUInt64LE(40))];
    const name = entry.toString('utf16le', 56, ENTRY_MIN).replace(/\0.*$/s, '');
    entries.push({ number, type: guid(entry, 0), partuuid: guid(entry, 16), start, sectors: end - start + 1, name });
  }
  return { diskId: guid(sector, 56), entries };
}

/** Three little-endian numbers, then bytes in order (appendix A). */
function guid(bytes: Buffer, at: number): string {
  const hex = (from: number, to: number) => bytes.toString('hex', at + from, at + to);
  const number = (from: number, size: number) =>
    bytes
      .readUIntLE(at + from, size)
      .toString(16)
      .padStart(size * 2, '0');
  return [number(0, 4), number(4, 2), number(6, 2), hex(8, 10), hex(10, 16)].join('-');
}

function damaged(why: string): PiimgError {
  return new PiimgError(`The disk's GPT is damaged: ${why}.`, {
    hint: 'Look at it with `sgdisk --verify`, or download it again.',
  });
}
