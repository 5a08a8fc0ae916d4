// The ids of an image's disk and file systems: the same role on the same base has the same ids.
import { createHash } from 'node:crypto';

export interface ImageIds {
  /** 32 bits, never 0 (which would mean "no id"); the plan's, as fstab names it. */
  diskId: number;
  /** Of the ext4. */
  rootUuid: string;
  /** Seed of the ext4's directory hashes, a UUID too. */
  hashSeed: string;
  /** Serial number of the FAT, 32 bits. */
  volumeId: number;
}

/** Each id comes from a hash of its own, of the disk id, which is the role's and base's: so every build of it has them (stage.ts). */
export function imageIds(diskId: number): ImageIds {
  const bytes = (purpose: string) => createHash('sha256').update(`${purpose}:${diskId}`).digest();
  return {
    diskId,
    rootUuid: uuid(bytes('root')),
    hashSeed: uuid(bytes('hash-seed')),
    volumeId: bytes('volume').readUInt32LE(),
  };
}

/** An id of 32 bits as sfdisk, mkfs.vfat and PARTUUIDs spell it. */
export function hex32(id: number): string {
  return id.toString(16).padStart(8, '0');
}

/** Version 8 of RFC 9562: bits by a rule of one's own. */
function uuid(bytes: Buffer): string {
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
