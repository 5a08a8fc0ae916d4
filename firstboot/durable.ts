// Files that survive a power cut: whoever reads one finds the old content or the new, never half of either.
import { constants } from 'node:fs';
import { chown, mkdir, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';

export interface Ownership {
  mode: number;
  uid: number;
  gid: number;
}

/** Of whoever runs the agent: root, on a machine. */
export const OWN = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
const OWN_ONLY: Ownership = { mode: 0o600, ...OWN };

/** What a write that was cut leaves behind: `.NAME.piimg`. */
const partOf = (file: string): string => path.join(path.dirname(file), `.${path.basename(file)}.piimg`);

/**
 * Replaces `file`: written beside it, flushed, renamed, and the folder flushed, as rename(2) is atomic but not durable. The file
 * has mode and owner from its first byte on, so that a secret is never readable in between.
 */
export async function writeDurably(
  file: string,
  content: string | Uint8Array,
  as: Ownership = OWN_ONLY,
): Promise<void> {
  const part = partOf(file);
  try {
    await rm(part, { force: true });
    const handle = await open(part, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    await filled(handle, async () => {
      await handle.writeFile(content);
      await handle.chown(as.uid, as.gid);
      await handle.chmod(as.mode);
    });
    await rename(part, file);
  } catch (error) {
    await rm(part, { force: true }).catch(() => {});
    throw error;
  }
  await flushFolder(path.dirname(file));
}

/**
 * Writes over a file without changing where it lies: filled with newlines to the length it has. For the boot partition, whose
 * file system has no journal: its tables stay untouched. Throws RangeError when the content is longer than the file.
 * `room`, in bytes: it is made that long where somebody has shortened or removed it.
 */
export async function overwrite(file: string, content: string, room = 0): Promise<void> {
  const bytes = Buffer.from(content);
  const handle = await open(file, room > 0 ? constants.O_RDWR | constants.O_CREAT : 'r+', 0o600);
  await filled(handle, async () => {
    const size = Math.max((await handle.stat()).size, room);
    if (bytes.length > size) throw new RangeError(`${file} has room for ${size} bytes; ${bytes.length} are needed`);
    await handle.write(padded(bytes, size), 0, size, 0);
  });
}

/** Filled with newlines to `size` bytes. */
export const padded = (bytes: Buffer, size: number): Buffer =>
  Buffer.concat([bytes, Buffer.alloc(Math.max(0, size - bytes.length), '\n')]);

/** Runs what it is given one after the other: a file is written by one at a time. */
export function inTurn(): (work: () => Promise<void>) => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return (work) => (last = last.then(work, work));
}

/** Makes a folder and those above it, each flushed into the one that holds it. Owner and mode are for the last one only. */
export async function makeFolder(folder: string, as: Ownership = { ...OWN_ONLY, mode: 0o755 }): Promise<void> {
  const first = await makeAll(folder);
  const handle = await open(folder, 'r');
  await filled(handle, async () => {
    await handle.chmod(as.mode);
    await chown(folder, as.uid, as.gid);
  });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = path.dirname(made)) await flushFolder(path.dirname(made));
}

/** As `mkdir -p`: the first folder that had to be made. Node's own says of a file system that is read-only that there is no such folder. */
async function makeAll(folder: string): Promise<string | undefined> {
  try {
    await mkdir(folder);
    return folder;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(folder)).isDirectory()) return undefined;
    if (code !== 'ENOENT') throw error;
    const first = await makeAll(path.dirname(folder));
    // Meanwhile a step beside this one may have made it.
    const made = await makeAll(folder);
    return first ?? made;
  }
}

/** Removes a file, if it is there, and it stays removed. That one which is not there was removed durably is its remover's to see to. */
export async function removeDurably(file: string): Promise<void> {
  try {
    await rm(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  await flushFolder(path.dirname(file));
}

/** Removes what writes that were cut have left in `folder`. */
export async function removeParts(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names) if (/^\..+\.piimg$/.test(name)) await rm(path.join(folder, name));
}

async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  await filled(handle, async () => {});
}

async function filled(handle: FileHandle, fill: () => Promise<void>): Promise<void> {
  try {
    await fill();
    await handle.sync();
  } finally {
    await handle.close();
  }
}
