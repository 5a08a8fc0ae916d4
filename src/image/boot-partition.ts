// Divides the merged files between the two partitions: /boot/firmware goes to the FAT, the rest to the ext4.
import { PiimgError } from '../lib/errors.ts';
import { SECTOR } from './mbr.ts';
import type { MergedEntry } from './merge.ts';

/** Where the FAT is mounted on the Pi, as a path in the image. */
const BOOT_PATH = 'boot/firmware';

/**
 * `root` keeps /boot/firmware itself as the mount point; in `boot` paths start below it. Names the FAT cannot hold
 * (links, characters Windows reserves, names that differ in case only) are a PiimgError here, where the path is known.
 */
export function divideAtBoot(entries: MergedEntry[]): { root: MergedEntry[]; boot: MergedEntry[] } {
  const root: MergedEntry[] = [];
  const boot: MergedEntry[] = [];
  const names = new Map<string, string>();
  for (const merged of entries) {
    const { entry } = merged;
    const inBoot = entry.path.startsWith(`${BOOT_PATH}/`);
    if (!inBoot) {
      if (entry.type === 'hardlink' && entry.target?.startsWith(`${BOOT_PATH}/`)) refuse(entry.path, 'links into it');
      root.push(merged);
      continue;
    }
    const path = entry.path.slice(BOOT_PATH.length + 1);
    if (entry.type !== 'file' && entry.type !== 'directory') refuse(entry.path, `is a ${entry.type}`);
    if (/["*:<>?\\|\p{Cc}]|[. ](\/|$)/u.test(path)) refuse(entry.path, 'has a character that FAT reserves');
    const same = names.get(path.toLowerCase());
    if (same !== undefined) refuse(entry.path, `differs from ${same} in case only`);
    names.set(path.toLowerCase(), path);
    boot.push({ ...merged, entry: { ...entry, path } });
  }
  return { root, boot };
}

function refuse(path: string, why: string): never {
  throw new PiimgError(`/${path} cannot be put on the boot partition, which is FAT32: it ${why}.`, {
    hint: 'Rename or remove it in the overlay or step that makes it.',
  });
}

/** Bytes of a cluster, as filesystems.ts makes the FAT. */
const CLUSTER = 4096;

/**
 * Throws PiimgError naming the largest files when they do not fit a FAT32 of that many sectors: each cluster takes its bytes and an entry of
 * four in both tables; 32 sectors are reserved (mkfs.fat(8), -R).
 */
export function requireRoomOnBoot(files: { path: string; size: number }[], sectors: number): void {
  const room = Math.floor(((sectors - 32) * SECTOR) / (CLUSTER + 2 * 4));
  // A folder has one at least, as the root has.
  const needed = 1 + files.reduce((sum, { size }) => sum + Math.max(1, Math.ceil(size / CLUSTER)), 0);
  if (needed <= room) return;
  const largest = files.toSorted((a, b) => b.size - a.size).slice(0, 5);
  const mib = (bytes: number): number => Math.ceil(bytes / (1 << 20));
  throw new PiimgError(
    `The boot partition has room for ${mib(room * CLUSTER)} MiB, and its files take ${mib(needed * CLUSTER)} MiB`,
    {
      detail: largest.map(({ path, size }) => `/${BOOT_PATH}/${path}: ${mib(size)} MiB`).join('\n'),
      hint: 'Remove some of them in a run step of the role: rm -f /boot/firmware/NAME.',
    },
  );
}
