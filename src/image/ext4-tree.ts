// The tree of an ext4 as entries of an archive.
import { PiimgError } from '../lib/errors.ts';
import type { TarHeader } from '../lib/tar.ts';
import { listExt4, readExt4 } from './ext4-files.ts';
import type { Ext4File, Ext4Volume } from './ext4-inodes.ts';
import type { ReadAt } from './ranges.ts';

export interface TreeEntry {
  header: TarHeader;
  /** What the file holds, holes as zeros; nothing for what is no file. */
  content: () => AsyncIterable<Buffer>;
}

/** What mke2fs makes in every file system for e2fsck. */
const LOST_AND_FOUND = 'lost+found';

/**
 * Every entry in the order of `tar --sort=name`, the root first: owners, modes, times, attributes, devices as they are; the
 * further names of a file as hard links to the first one. Sockets are left out as tar does, for they are of a program that runs. One folder's names and
 * the hard links are all that is in memory. Throws PiimgError for a damaged file system, and for a name that is not UTF-8.
 */
export async function* treeOfExt4(read: ReadAt, volume: Ext4Volume): AsyncGenerator<TreeEntry> {
  const firstNames = new Map<number, string>();
  for await (const file of listExt4(read, volume)) {
    if (file.path === LOST_AND_FOUND || file.type === 'socket') continue;
    requireUtf8(file);
    const linked = file.type !== 'directory' && file.links > 1;
    const first = linked ? firstNames.get(file.inode) : undefined;
    if (linked && first === undefined) firstNames.set(file.inode, file.path);
    const header = headerOf(file, first);
    yield { header, content: () => (header.type === 'file' ? readExt4(read, file) : nothing()) };
  }
}

async function* nothing(): AsyncGenerator<Buffer> {}

function headerOf(file: Ext4File, first?: string): TarHeader {
  const { path, type, mode, uid, gid, size, mtime, nanoseconds, target, device, xattrs } = file;
  if (type === 'other' || type === 'socket') throw new PiimgError(`/${path} is of a kind that is not known.`);
  const common = { path, mode, uid, gid, mtime, ...(nanoseconds > 0 && { nanoseconds }) };
  // tar says nothing of attributes of a further name.
  if (first !== undefined) return { ...common, type: 'hardlink', size: 0, target: first };
  return {
    ...common,
    type,
    size: type === 'file' ? size : 0,
    ...(target !== undefined && { target }),
    ...(device && { device }),
    ...(xattrs && { xattrs }),
  };
}

/** Bytes that are no UTF-8 were read as U+FFFD: two such names could be one. */
function requireUtf8({ path, target = '' }: Ext4File): void {
  if (!`${path}${target}`.includes('\uFFFD')) return;
  throw new PiimgError(`The name or target of /${path} is not UTF-8.`, { hint: 'Rename it in the image.' });
}
