// Copies an image file, and writes pieces of one: holes stay holes.
import { chmod, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { dieWithParent, run } from '../host/exec.ts';
import { PiimgError } from '../lib/errors.ts';
import type { Step } from '../lib/progress.ts';
import { stampOf } from '../lib/stamp.ts';

/** Zeros that are seen at once, and the unit in which they are left out: a block of any file system here. */
const CHUNK = 4 << 20;
const BLOCK = 4096;

/** cp(1) leaves holes out by itself, and shares blocks where the file system can (btrfs, XFS, APFS) and it is told to. */
const COPY = process.platform === 'darwin' ? ['cp', '-c'] : ['cp', '--reflink=auto'];

/**
 * Copies the image `from` to `to`, which must not be there yet, and lie where nobody else looks: it has the image's mode at first, and 0600
 * in the end. Nothing waits for the disk. Gives by what the image is known to be still that one (`requireSame`). Throws what failed, PiimgError
 * for an image that changes meanwhile, the reason of `signal`; then there may be a part of a copy.
 */
export async function copyImage(
  from: string,
  to: string,
  { signal, step }: { signal?: AbortSignal; step?: Pick<Step, 'update'> } = {},
): Promise<string> {
  const before = await stat(from);
  const show = ({ blocks: done }: { blocks: number }): void =>
    step?.update({ done: Math.min(done, before.blocks) * 512, total: before.blocks * 512, unit: 'bytes' });
  const look = setInterval(() => void stat(to).then(show, () => {}), 250);
  try {
    signal?.throwIfAborted();
    await run(dieWithParent([...COPY, path.resolve(from), path.resolve(to)]), {
      env: { LC_ALL: 'C' },
      ...(signal && { signal }),
    });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    clearInterval(look);
  }
  await requireSame(from, stampOf(before));
  await chmod(to, 0o600);
  return stampOf(before);
}

/** Throws PiimgError for an image that is not any more what it was when its copy was begun. */
export async function requireSame(image: string, stamp: string): Promise<void> {
  const now = await stat(image).catch(() => undefined);
  if (now !== undefined && stampOf(now) === stamp) return;
  throw new PiimgError(`${image} was changed while it was copied`, {
    hint: 'Wait until nobody writes to it, then run the command again.',
  });
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
