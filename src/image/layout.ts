// Where things lie in an image: the layout of Raspberry Pi OS, and how large the whole has to be.
import { PiimgError } from '../lib/errors.ts';
import type { Partition } from './manifest.ts';
import type { MergedEntry } from './merge.ts';
import { partuuid, SECTOR } from './mbr.ts';

const MIB = 1 << 20;

/** Raspberry Pi OS aligns partitions and size to 8 MiB since 2025-03 (pi-gen, export-image/prerun.sh). */
export const ALIGNMENT = 8 * MIB;
/** LBA and sectors of p1, and LBA of p2, from the same place. */
const BOOT_START = 16_384;
const BOOT_SECTORS = 1_048_576;
const ROOT_START = BOOT_START + BOOT_SECTORS;

/** ext4 as src/image/filesystems.ts makes it: block, inode, and the bytes of space each inode is made for. */
export const EXT4 = { block: 4096, inode: 256, bytesPerInode: 16_384, journal: 32 * MIB } as const;

/** Where an image describes itself; see header.ts for the choice. */
export const HEADER_LBA = 64;

export interface Layout {
  /** Bytes of the whole image. */
  size: number;
  boot: Partition;
  root: Partition;
}

/** What `entries` take on an ext4: their blocks and inodes. */
export function contentOf(entries: MergedEntry[]): { bytes: number; inodes: number } {
  let blocks = 0;
  let inodes = 0;
  for (const { entry } of entries) {
    if (entry.type === 'hardlink') continue;
    inodes++;
    // A directory has at least one block; 60 bytes of a link's target fit into its inode (i_block).
    if (entry.type === 'file') blocks += Math.ceil(entry.size / EXT4.block);
    else if (entry.type === 'directory' || (entry.target?.length ?? 0) >= 60) blocks++;
  }
  return { bytes: blocks * EXT4.block + inodes * EXT4.inode, inodes };
}

/**
 * The layout for that content. Without `size` the root partition gets 1.2 × content + 200 MiB, as pi-gen's images do:
 * room for the journal, inode tables and block maps, and to work before the first boot grows the partition; more where
 * many small files need the inodes. `size` is bytes of the whole image, rounded down to whole blocks of the ext4;
 * PiimgError if the content does not fit.
 */
export function layoutFor(content: { bytes: number; inodes: number }, diskId: number, size?: number): Layout {
  const roomy = Math.max(content.bytes * 1.2 + 200 * MIB, content.inodes * EXT4.bytesPerInode * 1.1);
  const minimum = smallestSize(content);
  if (size !== undefined && size < minimum) {
    throw new PiimgError(`An image of ${size} bytes is too small: this one needs at least ${minimum / MIB} MiB.`, {
      hint: `Give --size ${minimum / MIB}M or more, or leave it out.`,
    });
  }
  const total = size === undefined ? roundUp(ROOT_START * SECTOR + roomy) : size - (size % EXT4.block);
  const partition = (number: 1 | 2, type: number, from: number, sectors: number, label: string): Partition => {
    return { number, type, start: from, sectors, label, partuuid: partuuid(diskId, number) };
  };
  return {
    size: total,
    boot: partition(1, 0x0c, BOOT_START, BOOT_SECTORS, 'bootfs'),
    root: partition(2, 0x83, ROOT_START, total / SECTOR - ROOT_START, 'rootfs'),
  };
}

/** Bytes of the smallest image for that content. */
export function smallestSize({ bytes, inodes }: { bytes: number; inodes: number }): number {
  // What mke2fs itself takes is 1/64 for inode tables, the journal, and less than 1/64 for maps and growth.
  // It refuses a journal of more than half of the free blocks.
  const tight = Math.max(
    (bytes + EXT4.journal) * (1 + 1 / 32) + 16 * MIB,
    inodes * EXT4.bytesPerInode,
    3 * EXT4.journal,
  );
  return roundUp(ROOT_START * SECTOR + tight);
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
