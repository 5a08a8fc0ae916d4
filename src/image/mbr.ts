// The partition table in the first sector: written, read, and the PARTUUIDs that follow from it.
import { PiimgError } from '../lib/errors.ts';
import { hex32 } from './ids.ts';

export const SECTOR = 512;

export interface MbrEntry {
  number: 1 | 2 | 3 | 4;
  type: number;
  /** LBA and length in sectors of 512 bytes. */
  start: number;
  sectors: number;
}

/** The disk id at byte 440 (little-endian on disk), the table of four at 446, the signature 55 AA at 510. */
const DISK_ID = 440;
const TABLE = 446;
const ENTRY_LENGTH = 16;

/**
 * A Pi reads the table only. But GNU parted, with which Raspberry Pi OS grows its root, takes an MBR that begins with a zero for an empty
 * one and gives it a new disk id (libparted/labels/dos.c, msdos_write()): no root= would find its partition any more. For a PC, it says
 * that there is nothing to start: int 0x18, then a jump to itself.
 */
const BOOT_CODE = Buffer.from([0xcd, 0x18, 0xeb, 0xfe]);

/** The first sector of a disk. `diskId` is 32 bits. */
export function encodeMbr(diskId: number, entries: MbrEntry[]): Buffer {
  const sector = Buffer.alloc(SECTOR);
  BOOT_CODE.copy(sector);
  sector.writeUInt32LE(diskId, DISK_ID);
  for (const { number, type, start, sectors } of entries) {
    const at = TABLE + (number - 1) * ENTRY_LENGTH;
    chs(start).copy(sector, at + 1);
    sector[at + 4] = type;
    chs(start + sectors - 1).copy(sector, at + 5);
    sector.writeUInt32LE(start, at + 8);
    sector.writeUInt32LE(sectors, at + 12);
  }
  sector.writeUInt16BE(0x55aa, 510);
  return sector;
}

/** Disk id and the entries in use. Throws PiimgError when the sector holds no MBR, or only GPT's stand-in for one. */
export function parseMbr(sector: Buffer): { diskId: number; entries: MbrEntry[] } {
  if (sector.length < SECTOR || sector.readUInt16BE(510) !== 0x55aa) {
    throw new PiimgError('The first sector holds no MBR partition table.', { hint: 'Is this a disk image?' });
  }
  const entries: MbrEntry[] = [];
  for (const number of [1, 2, 3, 4] as const) {
    const at = TABLE + (number - 1) * ENTRY_LENGTH;
    const type = sector.readUInt8(at + 4);
    if (type === 0xee) throw new PiimgError('The disk has a GPT; piimg works with MBR partition tables only.');
    if (type !== 0)
      entries.push({ number, type, start: sector.readUInt32LE(at + 8), sectors: sector.readUInt32LE(at + 12) });
  }
  return { diskId: sector.readUInt32LE(DISK_ID), entries };
}

/** What the kernel calls a partition of an MBR disk: `root=PARTUUID=1a2b3c4d-02`. */
export function partuuid(diskId: number, number: number): string {
  return `${hex32(diskId)}-${number.toString().padStart(2, '0')}`;
}

/** Cylinder, head, sector for the 255 × 63 geometry that tools assume; FE FF FF where LBA does not fit in it. */
function chs(lba: number): Buffer {
  const cylinder = Math.floor(lba / (255 * 63));
  if (cylinder > 1023) return Buffer.from([0xfe, 0xff, 0xff]);
  return Buffer.from([Math.floor(lba / 63) % 255, (lba % 63) + 1 + ((cylinder >> 8) << 6), cylinder & 0xff]);
}
