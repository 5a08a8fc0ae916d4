// Copies an image file, and writes pieces of one: holes stay holes.
import { chmod, constants, copyFile, open, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { run } from '../host/exec.ts';
import { packageRoot } from '../host/package-root.ts';
import { PiimgError } from '../lib/errors.ts';
import type { Step } from '../lib/progress.ts';
import { stampOf } from '../lib/stamp.ts';
import type { ByteRange } from './ranges.ts';

/** Zeros that are seen at once, and the unit in which they are left out: a block of any file system here. */
const CHUNK = 4 << 20;
const BLOCK = 4096;

/**
 * Copies the image `from` to `to`, which must not be there yet, and lie where nobody else looks: it has the image's mode at first where
 * the file system makes the copy (btrfs, XFS, APFS), sharing its blocks, and 0600 in the end. Holes stay holes. As with cp(1), nothing waits
 * for the disk. Throws what failed, PiimgError for an image that changes meanwhile, the reason of `signal`; then there may be a part of a copy.
 */
export async function copyImage(
  from: string,
  to: string,
  { signal, step }: { signal?: AbortSignal; step?: Pick<Step, 'update'> } = {},
): Promise<void> {
  signal?.throwIfAborted();
  const before = await stat(from);
  if (await clone(from, to)) return;
  const { size, blocks } = before;
  const file = await open(to, 'wx', 0o600);
  const show = ({ blocks: done }: { blocks: number }): void =>
    step?.update({ done: Math.min(done, blocks) * 512, total: blocks * 512, unit: 'bytes' });
  const look = setInterval(() => void file.stat().then(show, () => {}), 250);
  try {
    await file.truncate(size);
    await copyRanges(from, to, dataOf(from, size, signal), signal);
    // Opened by its name: what was read must be what was looked at.
    if (stampOf(await stat(from)) !== stampOf(before)) throw changed(from);
  } catch (error) {
    // It ends before a range does.
    if (error instanceof RangeError) throw changed(from, error);
    throw error;
  } finally {
    clearInterval(look);
    await file.close();
  }
}

/** Places of 256 KiB between the two threads. */
const RING = 16 << 18;

/** Two threads, which start while it is found out what to copy: one reads, one writes. Rejects with what either throws, and with what aborts. */
async function copyRanges(
  from: string,
  to: string,
  ranges: Promise<ByteRange[]>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const shared = {
    ring: new SharedArrayBuffer(RING),
    counts: new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT)),
  };
  const threads = [from, to].map(
    (file) =>
      new Worker(path.join(packageRoot, 'src/image/copy-thread.mjs'), {
        workerData: { file, writes: file === to, ...shared },
      }),
  );
  const ended = threads.map(
    (thread) => new Promise((resolve, reject) => thread.once('message', resolve).once('error', reject)),
  );
  const aborted = new Promise<never>((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  try {
    const told = ranges.then((known) => threads.forEach((thread) => thread.postMessage(known)));
    await Promise.race([Promise.all([told, ...ended]), aborted]);
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}

/**
 * What are no holes: qemu-img asks the file system (lseek's SEEK_DATA), which Node cannot; it counts in sectors. -U: of an image that a virtual
 * machine has open as well. A whole path, as what lies before a colon would be a protocol.
 */
async function dataOf(file: string, size: number, signal: AbortSignal | undefined): Promise<ByteRange[]> {
  const command = ['qemu-img', 'map', '-U', '--output=json', '-f', 'raw', path.resolve(file)];
  const { stdout } = await run(command, { ...(signal && { signal }) });
  const extents = JSON.parse(stdout) as { start: number; length: number; data: boolean }[];
  return extents
    .filter(({ data }) => data)
    .map(({ start, length }) => ({ offset: start, length: Math.min(length, size - start) }));
}

const changed = (file: string, cause?: unknown): PiimgError =>
  new PiimgError(`${file} was changed while it was copied`, {
    hint: 'Wait until nobody writes to it, then run the command again.',
    cause,
  });

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
