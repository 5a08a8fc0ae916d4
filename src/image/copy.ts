// Copies an image file, and writes pieces of one: holes stay holes.
import { chmod, constants, copyFile, open, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../host/exec.ts';
import type { Step } from '../lib/progress.ts';
import { copyRanges } from './digest.ts';
import type { ByteRange } from './ranges.ts';

/** The most that is written at once, and the unit in which zeros are left out: a block of any file system here. */
const CHUNK = 4 << 20;
const BLOCK = 4096;

/**
 * Copies the image `from` to `to`, which must not be there yet; nobody but its owner may read the copy. Holes stay holes. Where the file
 * system can (btrfs, XFS, APFS), the copy shares the image's blocks. As with cp(1), nothing waits for the disk. Throws what failed, or the
 * reason of `signal`; then there may be a part of a copy.
 */
export async function copyImage(
  from: string,
  to: string,
  { signal, step }: { signal?: AbortSignal; step?: Pick<Step, 'update'> } = {},
): Promise<void> {
  if (await clone(from, to)) return;
  const { size, blocks } = await stat(from);
  const file = await open(to, 'wx', 0o600);
  const show = ({ blocks: done }: { blocks: number }): void =>
    step?.update({ done: Math.min(done, blocks) * 512, total: blocks * 512, unit: 'bytes' });
  const look = setInterval(() => void file.stat().then(show, () => {}), 250);
  try {
    await file.truncate(size);
    await copyRanges(from, await dataOf(from, size), to, signal);
  } finally {
    clearInterval(look);
    await file.close();
  }
}

/**
 * What are no holes: qemu-img asks the file system (lseek's SEEK_DATA), which Node cannot; it counts in sectors. -U: of an image that a virtual
 * machine has open as well. A whole path, as what lies before a colon would be a protocol.
 */
async function dataOf(file: string, size: number): Promise<ByteRange[]> {
  const { stdout } = await run(['qemu-img', 'map', '-U', '--output=json', '-f', 'raw', `file:${path.resolve(file)}`]);
  const extents = JSON.parse(stdout) as { start: number; length: number; data: boolean }[];
  return extents
    .filter(({ data }) => data)
    .map(({ start, length }) => ({ offset: start, length: Math.min(length, size - start) }));
}

/** Whether the file system has made it. */
async function clone(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
  } catch {
    return false;
  }
  await chmod(to, 0o600);
  return true;
}

/** Writes what is not zeros, block by block; the file must have a hole, or its end, in its place. */
export async function writeSparse(to: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (const { start, end } of runs(bytes)) await writeAll(to, bytes.subarray(start, end), position + start);
}

const ZEROS = Buffer.alloc(CHUNK);

/** Stretches of blocks that are not all zeros. */
function runs(bytes: Uint8Array): { start: number; end: number }[] {
  if (ZEROS.subarray(0, bytes.length).equals(bytes)) return [];
  const found: { start: number; end: number }[] = [];
  for (let start = 0; start < bytes.length; start += BLOCK) {
    const end = Math.min(start + BLOCK, bytes.length);
    if (ZEROS.compare(bytes, start, end, 0, end - start) === 0) continue;
    const last = found.at(-1);
    if (last?.end === start) last.end = end;
    else found.push({ start, end });
  }
  return found;
}

/** Writes all of it, in however many pieces the system takes it. */
export async function writeAll(to: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += (await to.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}
