// Lists the files of an ext4, finds one by its path, and reads content.
import { readInode, type Ext4File, type Ext4Volume } from './ext4-inodes.ts';
import { PiimgError } from '../lib/errors.ts';
import { damagedExt4 } from './ext4-map.ts';
import type { ReadAt } from './ranges.ts';

const ROOT_INODE = 2;
/** Of a directory entry before its name. */
const ENTRY_HEAD = 8;
/** Of one folder, in bytes: millions of names. One that claims more, or has holes, is damaged. */
const LARGEST_FOLDER = 1 << 28;

/** As many links are followed to one file (the kernel's MAXSYMLINKS). */
const MOST_LINKS = 40;

/**
 * Every file of an ext4, a folder before what is in it, names in the order of their bytes (that of `tar --sort=name`). Throws
 * PiimgError for structures that cannot be.
 */
export async function* listExt4(read: ReadAt, volume: Ext4Volume): AsyncGenerator<Ext4File> {
  const folders = new Set<number>();
  const waiting = [{ path: '', inode: ROOT_INODE }];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { path, inode } = next;
    const file = await readInode(volume, inode, path);
    yield file;
    if (file.type !== 'directory') continue;
    // A folder has one name; one that is in itself would never end.
    if (folders.has(inode)) throw damagedExt4(path);
    folders.add(inode);
    const prefix = path === '' ? '' : `${path}/`;
    const names = await namesOf(read, file);
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

/** What is in a folder, in the order of the names' bytes. Throws PiimgError where it is damaged. */
export async function namesOf(read: ReadAt, folder: Ext4File): Promise<{ name: string; inode: number }[]> {
  if (folder.size > LARGEST_FOLDER || folder.ranges.some(({ offset }) => offset === undefined))
    throw damagedExt4(folder.path);
  const names = namesIn(await contentOf(read, folder), folder.path);
  return names.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
}

/**
 * The file at `path`, without listing others; undefined where there is none. Links in it are followed below the root of the file
 * system, the last one only with `follow`. Throws PiimgError for links that go in circles.
 */
export async function findExt4(
  read: ReadAt,
  volume: Ext4Volume,
  path: string,
  follow = true,
): Promise<Ext4File | undefined> {
  const root = await readInode(volume, ROOT_INODE, '');
  const above: Ext4File[] = [];
  let here = root;
  let links = 0;
  const left = parts(path);
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    if (here.type !== 'directory') return undefined;
    if (name === '..') {
      here = above.pop() ?? root;
      continue;
    }
    const inode = (await namesOf(read, here)).find((entry) => entry.name === name)?.inode;
    if (inode === undefined) return undefined;
    const child = await readInode(volume, inode, here === root ? name : `${here.path}/${name}`);
    if (child.type !== 'symlink' || (left.length === 0 && !follow)) {
      above.push(here);
      here = child;
      continue;
    }
    const { target = '' } = child;
    if (++links > MOST_LINKS) throw new PiimgError(`The links on the way to /${path} lead in circles.`);
    if (target.startsWith('/')) {
      above.length = 0;
      here = root;
    }
    left.unshift(...parts(target));
  }
  return here;
}

const parts = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.');

async function contentOf(read: ReadAt, file: Pick<Ext4File, 'ranges'>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of readExt4(read, file)) parts.push(part);
  return Buffer.concat(parts);
}

/**
 * The names in a directory's blocks. Throws PiimgError for one that no file can have, or that two have. A hashed one's index looks like entries without an inode (Documentation/filesystems/ext4/directory).
 */
function namesIn(blocks: Buffer, path: string): { name: string; inode: number }[] {
  const names: { name: string; inode: number }[] = [];
  const seen = new Set<string>();
  for (let at = 0; at < blocks.length;) {
    const inode = blocks.readUInt32LE(at);
    const length = blocks.readUInt16LE(at + 4);
    if (length < ENTRY_HEAD || at + length > blocks.length) throw damagedExt4(path);
    const name = blocks.toString('utf8', at + ENTRY_HEAD, at + ENTRY_HEAD + blocks.readUInt8(at + 6));
    at += length;
    if (inode === 0 || name === '.' || name === '..') continue;
    // What is no UTF-8 may look the same.
    if (name === '' || /[/\0]/.test(name) || (seen.has(name) && !name.includes('\uFFFD'))) throw damagedExt4(path);
    seen.add(name);
    names.push({ name, inode });
  }
  return names;
}
