// What mke2fs does not take from a tar: extended attributes but capabilities, times but whole seconds since 1970. debugfs sets them afterwards.
import { open } from 'node:fs/promises';
import { PiimgError } from '../lib/errors.ts';
import { listExt4 } from './ext4-files.ts';
import { openExt4 } from './ext4-inodes.ts';
import type { MergedEntry } from './merge.ts';
import { readerOf } from './ranges.ts';

/** The only one that mke2fs takes from a tar (misc/create_inode_libarchive.c; 1.47.2 leaves out user.* and access control lists). */
const TAKEN = 'security.capability';

/**
 * Files for `changeExt4`, its commands among them, that give the ext4 at byte `start` of `image` what its tar could not; undefined where no
 * entry has any such thing, which is so but for images that somebody else made. No time is later than `epoch` (seconds), as with mke2fs.
 * Throws PiimgError for an attribute that debugfs cannot be told.
 */
export async function filesBeyondTar(
  image: string,
  start: number,
  entries: MergedEntry[],
  epoch: number,
): Promise<{ path: string; content: Buffer }[] | undefined> {
  // tar says them of the first name.
  const odd = entries.flatMap(({ entry }) => {
    const { path, type, xattrs = {}, time } = entry;
    const attributes = Object.entries(xattrs).filter(([name]) => name !== TAKEN);
    const exact = time && time[0] < epoch ? time : undefined;
    return type === 'hardlink' || (attributes.length === 0 && !exact) ? [] : [{ path, attributes, exact }];
  });
  if (odd.length === 0) return undefined;
  // By number: no name is then beyond debugfs, and none is looked up twice.
  const inodes = await inodesOf(image, start);
  const values: Buffer[] = [];
  const commands: string[] = [];
  for (const { path, attributes, exact } of odd) {
    const inode = `<${inodes.get(path)}>`;
    for (const [name, value] of attributes) {
      if (/\s/.test(name)) {
        throw new PiimgError(
          `The attribute ${JSON.stringify(name)} of /${path} cannot be kept: debugfs cannot be told that name`,
          { hint: 'Remove it (setfattr -x).' },
        );
      }
      commands.push(`ea_set -f ${values.push(Buffer.from(value, 'base64')) - 1} ${inode} ${name}\n`);
    }
    if (exact) commands.push(...timeCommands(inode, exact));
  }
  const files = values.map((content, number) => ({ path: String(number), content }));
  return [...files, { path: 'commands', content: Buffer.from(commands.join('')) }];
}

/** The extra field continues the seconds with its two lowest bits, above them are nanoseconds (Documentation/filesystems/ext4/inodes). */
function timeCommands(inode: string, [seconds, nanoseconds]: [number, number]): string[] {
  const low = seconds | 0;
  const epoch = ((seconds - low) / 2 ** 32) & 3;
  return [`sif ${inode} mtime @${low >>> 0}\n`, `sif ${inode} mtime_extra ${nanoseconds * 4 + epoch}\n`];
}

async function inodesOf(image: string, start: number): Promise<Map<string, number>> {
  const file = await open(image);
  try {
    const read = readerOf(file);
    const found = new Map<string, number>();
    for await (const { path, inode } of listExt4(read, await openExt4(read, start))) found.set(path, inode);
    return found;
  } finally {
    await file.close();
  }
}
