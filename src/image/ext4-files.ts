// Lists the files of an ext4 and reads their content.
import { damagedExt4, readInode, type Ext4File, type Ext4Volume } from './ext4-inodes.ts';
import type { ReadAt } from './ranges.ts';

const ROOT_INODE = 2;
/** Of a directory entry before its name. */
const ENTRY_HEAD = 8;

/** Every file of an ext4, a folder before what is in it. Throws PiimgError for structures that cannot be. */
export async function* listExt4(read: ReadAt, volume: Ext4Volume): AsyncGenerator<Ext4File> {
  const waiting = [{ path: '', inode: ROOT_INODE }];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { path, inode } = next;
    const file = await readInode(volume, inode, path);
    yield file;
    if (file.type !== 'directory') continue;
    const prefix = path === '' ? '' : `${path}/`;
    const names = namesIn(await contentOf(read, file), path);
    waiting.push(...names.map(({ name, inode: child }) => ({ path: prefix + name, inode: child })).toReversed());
  }
}

/** The content of a file, in pieces of at most a megabyte. */
export async function* readExt4(read: ReadAt, { ranges }: Pick<Ext4File, 'ranges'>): AsyncGenerator<Buffer> {
  for (const { offset, length } of ranges) {
    for (let at = 0; at < length; at += 1 << 20) {
      const size = Math.min(1 << 20, length - at);
      yield offset === undefined ? Buffer.alloc(size) : await read(offset + at, size);
    }
  }
}

async function contentOf(read: ReadAt, file: Pick<Ext4File, 'ranges'>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of readExt4(read, file)) parts.push(part);
  return Buffer.concat(parts);
}

/** The names in a directory's blocks. A hashed one's index looks like entries without an inode (Documentation/filesystems/ext4/directory). */
function namesIn(blocks: Buffer, path: string): { name: string; inode: number }[] {
  const names: { name: string; inode: number }[] = [];
  for (let at = 0; at < blocks.length;) {
    const inode = blocks.readUInt32LE(at);
    const length = blocks.readUInt16LE(at + 4);
    if (length < ENTRY_HEAD || at + length > blocks.length) throw damagedExt4(path);
    const name = blocks.toString('utf8', at + ENTRY_HEAD, at + ENTRY_HEAD + blocks.readUInt8(at + 6));
    if (inode !== 0 && name !== '.' && name !== '..') names.push({ name, inode });
    at += length;
  }
  return names;
}
