// The two file systems of an image as Files: paths in, contents out.
import { findExt4, namesOf, readExt4 } from '../image/ext4-files.ts';
import type { Ext4Volume } from '../image/ext4-inodes.ts';
import { findInFat, listFat, readFromFat, type FatVolume } from '../image/fat.ts';
import type { ReadAt } from '../image/ranges.ts';
import { PiimgError } from '../lib/errors.ts';
import type { Files, LinkedFiles } from '../vendor/view.ts';

/** What is read of a file unless more is asked for: texts are far shorter. */
const MOST = 1 << 20;

/** The files of a FAT; case does not count in their paths. */
export function fatFiles(volume: FatVolume): Files {
  return {
    async read(path, max = MOST) {
      const entry = await findInFat(volume, path);
      if (entry === undefined || entry.directory) return undefined;
      requireShort(path, entry.size, max);
      return readFromFat(volume, entry);
    },
    async list(path) {
      const folder = path === '' ? undefined : await findInFat(volume, path);
      if (path !== '' && !folder?.directory) return [];
      return (await listFat(volume, folder?.firstCluster)).map(({ name }) => name).sort();
    },
  };
}

/** The files of an ext4; symbolic links are followed below its root. */
export function ext4Files(read: ReadAt, volume: Ext4Volume): LinkedFiles {
  return {
    async read(path, max = MOST) {
      const file = await findExt4(read, volume, path);
      if (file?.type !== 'file') return undefined;
      requireShort(path, file.size, max);
      const pieces: Buffer[] = [];
      for await (const piece of readExt4(read, file)) pieces.push(piece);
      return Buffer.concat(pieces);
    },
    async list(path) {
      const folder = await findExt4(read, volume, path);
      return folder?.type === 'directory' ? (await namesOf(read, folder)).map(({ name }) => name) : [];
    },
    async link(path) {
      return (await findExt4(read, volume, path, false))?.target;
    },
  };
}

function requireShort(path: string, size: number, max: number): void {
  if (size <= max) return;
  throw new PiimgError(`/${path} is longer than anything of its kind: ${size} bytes`, {
    hint: 'Is the image damaged, or the file another one?',
  });
}
