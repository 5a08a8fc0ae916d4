// Divides the merged files between the two partitions: /boot/firmware goes to the FAT, the rest to the ext4.
import { PiimgError } from '../lib/errors.ts';
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
