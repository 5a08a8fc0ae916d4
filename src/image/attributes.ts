// What mke2fs leaves out of a tar: all extended attributes but capabilities. debugfs sets them afterwards.
import { PiimgError } from '../lib/errors.ts';
import type { MergedEntry } from './merge.ts';

/** The only one that mke2fs takes from a tar (misc/create_inode_libarchive.c; 1.47.2 leaves out user.* and access control lists). */
const TAKEN = 'security.capability';

/**
 * Files for `changeExt4`, its commands among them; undefined where no entry has such an attribute, which is so but for images that somebody
 * else made. Throws PiimgError for a name that debugfs would take for something else.
 */
export function attributeFiles(entries: MergedEntry[]): { path: string; content: Buffer }[] | undefined {
  const files: { path: string; content: Buffer }[] = [];
  const commands: string[] = [];
  for (const { entry } of entries) {
    // tar says them of the first name.
    const attributes = entry.type === 'hardlink' ? [] : Object.entries(entry.xattrs ?? {});
    for (const [name, value] of attributes) {
      if (name === TAKEN) continue;
      if (/[\r\n]|(^|\/)<[^/]*>$/.test(entry.path) || /\s/.test(name)) {
        throw new PiimgError(
          `The attribute ${name} of /${entry.path} cannot be kept: debugfs cannot be told that name`,
          {
            hint: 'Rename the file, or remove the attribute (setfattr -x, setfacl -b).',
          },
        );
      }
      const path = String(files.length);
      files.push({ path, content: Buffer.from(value, 'base64') });
      commands.push(`ea_set -f ${path} "/${entry.path.replaceAll('"', '""')}" ${name}\n`);
    }
  }
  return files.length === 0 ? undefined : [...files, { path: 'commands', content: Buffer.from(commands.join('')) }];
}
