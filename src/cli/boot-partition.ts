// The boot partition of an image as the boot test's firmware reads it: files by name.
import { open } from 'node:fs/promises';
import type { BootPartition } from '../boot/firmware/partition.ts';
import { findInFat, openFat, streamFromFat } from '../image/fat.ts';
import { parseMbr, SECTOR } from '../image/mbr.ts';
import { readerOf } from '../image/ranges.ts';

/** Opens the first partition of a raw image for the time of `work`. Throws PiimgError when it is no FAT. */
export async function withBootPartition<T>(image: string, work: (partition: BootPartition) => Promise<T>): Promise<T> {
  const disk = await open(image);
  try {
    const read = readerOf(disk);
    const [first] = parseMbr(await read(0, SECTOR)).entries;
    const fat = await openFat(read, (first?.start ?? 0) * SECTOR);
    return await work({
      async find(path) {
        const entry = await findInFat(fat, path);
        if (entry === undefined || entry.directory) return undefined;
        return { size: entry.size, chunks: () => streamFromFat(fat, entry) };
      },
    });
  } finally {
    await disk.close();
  }
}
