// The files of an image by path, read from its two file systems: for comparing images, without mounting them.
import { createHash } from 'node:crypto';
import { listExt4, readExt4 } from './ext4-files.ts';
import { openExt4, type Ext4File, type OnJournal } from './ext4-inodes.ts';
import { openFat, streamFromFat, walkFat } from './fat.ts';
import { parseMbr, SECTOR } from './mbr.ts';
import type { ReadAt } from './ranges.ts';

export interface ImageFile {
  type: Ext4File['type'];
  size: number;
  /** All that inodes say but times; FAT says nothing. */
  mode?: number;
  uid?: number;
  gid?: number;
  target?: string;
  xattrs?: Record<string, string>;
  /** Seconds since 1970. */
  mtime?: number;
  content(): AsyncIterable<Buffer>;
}

/** Where the first partition is mounted. */
const BOOT = '/boot/firmware';

/** Every file of the image by absolute path. Throws PiimgError for one without an MBR, FAT and ext4; see openExt4 for `onJournal`. */
export async function filesOfImage(read: ReadAt, onJournal?: OnJournal): Promise<Map<string, ImageFile>> {
  const { entries } = parseMbr(await read(0, SECTOR));
  const startOf = (number: number): number => (entries.find((entry) => entry.number === number)?.start ?? 0) * SECTOR;
  const files = new Map<string, ImageFile>();
  for await (const { path, ranges, ...file } of listExt4(read, await openExt4(read, startOf(2), onJournal))) {
    // What e2fsck makes for itself is no file of the image.
    if (path !== 'lost+found') files.set(`/${path}`, { ...file, content: () => readExt4(read, { ranges }) });
  }
  const fat = await openFat(read, startOf(1));
  for await (const { path, entry } of walkFat(fat)) {
    const type = entry.directory ? 'directory' : 'file';
    files.set(`${BOOT}/${path}`, { type, size: entry.size, content: () => streamFromFat(fat, entry) });
  }
  return files;
}

/** The sha256 of a file's content. */
export async function digestOfContent(file: Pick<ImageFile, 'content'>): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of file.content()) hash.update(piece);
  return hash.digest('hex');
}
