// Copies an image file; its holes stay holes, and what is all zeros becomes one.
import { open, type FileHandle } from 'node:fs/promises';
import type { Step } from '../lib/progress.ts';
import { settled } from '../lib/settled.ts';

/** Bytes read at once, and the unit in which zeros are left out: a block of any file system here. */
const CHUNK = 4 << 20;
const BLOCK = 4096;

/** Copies `from` into the open, empty file `to`. Throws the reason of `signal` once that is aborted. */
export async function copyImage(
  from: string,
  to: FileHandle,
  { signal, step }: { signal?: AbortSignal; step?: Pick<Step, 'update'> } = {},
): Promise<void> {
  const source = await open(from);
  try {
    const { size } = await source.stat();
    const buffer = Buffer.alloc(CHUNK);
    for (let at = 0; at < size;) {
      signal?.throwIfAborted();
      const { bytesRead } = await source.read(buffer, 0, CHUNK, at);
      if (bytesRead === 0) throw new RangeError(`${from} became shorter while it was copied`);
      await writeSparse(to, buffer.subarray(0, bytesRead), at);
      at += bytesRead;
      step?.update({ done: at, total: size, unit: 'bytes' });
    }
    await to.truncate(size);
  } finally {
    await source.close();
  }
}

/** What `work` comes to, which writes to `file`: the disk begins with that at once, not only when it is synced in the end. */
export async function flushing<T>(file: FileHandle, work: Promise<T>): Promise<T> {
  const state = { working: true };
  const flush = async (): Promise<void> => {
    while (state.working) await file.datasync();
  };
  return (await settled([work.finally(() => (state.working = false)), flush()]))[0];
}

/** Writes what is not zeros, block by block, of at most 4 MiB; the file must have a hole, or its end, in its place. */
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
