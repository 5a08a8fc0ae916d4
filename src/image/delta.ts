// What has to be done to an ext4 that holds some of the layers, so that it holds all of them: commands for debugfs.
import { isDeepStrictEqual } from 'node:util';
import type { MergedEntry } from './merge.ts';

export interface Delta {
  /** For debugfs, in order; contents are files of its working folder, named by their place in `files`. */
  commands: string[];
  files: MergedEntry[];
}

/** Types of an inode's mode (inode(7)). */
const FORMATS = { file: 0o100000, directory: 0o040000, symlink: 0o120000 } as const;

/** Bytes of files that may lie in memory on their way: the sandbox's temporary folder is a tmpfs. */
const LARGEST = 256 << 20;

/**
 * The way from `before` to `after`, both as mergeLayers gives them. Undefined where debugfs cannot go it faithfully (hard links
 * and extended attributes among what differs, devices, a root folder that does, names that debugfs takes for something else), and where
 * there is more to write than LARGEST.
 */
export function deltaOf(before: MergedEntry[], after: MergedEntry[]): Delta | undefined {
  const old = new Map(before.map((merged) => [merged.entry.path, merged]));
  const kept = new Set(after.map(({ entry }) => entry.path));
  const changed = after.filter((merged) => !isSame(old.get(merged.entry.path), merged));
  const gone = before.filter(({ entry }) => !kept.has(entry.path));
  const replaced = changed.flatMap(({ entry }) => old.get(entry.path) ?? []);
  // The other names of a file that changes would have to be counted anew.
  const links = [...before, ...after].flatMap(({ entry }) =>
    entry.type === 'hardlink' ? [entry.path, entry.target] : [],
  );
  const linked = new Set(links);
  const odd = [...changed, ...gone, ...replaced].some(
    ({ entry }) => linked.has(entry.path) || entry.xattrs !== undefined || entry.path === '' || !isPlain(entry),
  );
  const special = changed.some(({ entry }) => !(entry.type in FORMATS));
  const bytes = changed.reduce((sum, { entry }) => sum + entry.size, 0);
  if (odd || special || bytes > LARGEST) return undefined;

  const commands: string[] = [];
  let folder = '';
  const at = (path: string): string => {
    const slash = path.lastIndexOf('/');
    const parent = path.slice(0, Math.max(0, slash));
    if (parent !== folder || commands.length === 0) commands.push(`cd ${quoted(`/${parent}`)}`);
    folder = parent;
    return quoted(path.slice(slash + 1));
  };
  const remove = ({ entry: { path, type } }: MergedEntry) => {
    const name = at(path);
    commands.push(`${type === 'directory' ? 'rmdir' : 'rm'} ${name}`);
  };
  // Folders come before what is in them, so backwards they are empty when it is their turn.
  const stays = new Set(changed.filter((merged) => isFolderTwice(old.get(merged.entry.path), merged)));
  const leaving = new Set([
    ...gone,
    ...changed.filter((merged) => !stays.has(merged)).flatMap(({ entry }) => old.get(entry.path) ?? []),
  ]);
  for (const merged of before.toReversed()) if (leaving.has(merged)) remove(merged);

  const files: MergedEntry[] = [];
  for (const merged of changed) {
    const { path, type, mode, uid, gid, target = '' } = merged.entry;
    const name = at(path);
    if (type === 'file') commands.push(`write ${files.push(merged) - 1} ${name}`);
    else if (type === 'symlink') commands.push(`symlink ${name} ${quoted(target)}`);
    else if (type === 'directory' && !stays.has(merged)) commands.push(`mkdir ${name}`);
    const format = FORMATS[type as keyof typeof FORMATS];
    commands.push(`sif ${name} mode 0${(format | (type === 'symlink' ? 0o777 : mode)).toString(8)}`);
    commands.push(`sif ${name} uid ${uid}`, `sif ${name} gid ${gid}`);
  }
  return { commands, files };
}

function isSame(a: MergedEntry | undefined, b: MergedEntry): boolean {
  if (a?.layer === b.layer && a.source === b.source) return isDeepStrictEqual(a.entry, b.entry);
  // A folder that a layer only passes through is the same folder.
  const { type, mode, uid, gid, xattrs } = b.entry;
  return (
    isFolderTwice(a, b) &&
    isDeepStrictEqual(a && { mode: a.entry.mode, uid: a.entry.uid, gid: a.entry.gid, xattrs: a.entry.xattrs, type }, {
      mode,
      uid,
      gid,
      xattrs,
      type,
    })
  );
}

function isFolderTwice(a: MergedEntry | undefined, b: MergedEntry): boolean {
  return a?.entry.type === 'directory' && b.entry.type === 'directory';
}

/** debugfs reads its commands line by line, and a name like <12> as the number of an inode. mke2fs has made lost+found already. */
function isPlain({ path, target = '' }: { path: string; target?: string }): boolean {
  return !/[\r\n]/.test(path + target) && !/(^|\/)<[^/]*>$/.test(path) && path !== 'lost+found';
}

/** A word for debugfs (libss): quotes are doubled. */
function quoted(word: string): string {
  return `"${word.replaceAll('"', '""')}"`;
}
