// Copies an image file; its holes stay holes.
import { open, type FileHandle } from 'node:fs/promises';
import type { Step } from '../lib/progress.ts';

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
      for (const { start, end } of runs(buffer.subarray(0, bytesRead))) {
        await writeAll(to, buffer.subarray(start, end), at + start);
      }
      at += bytesRead;
      step?.update({ done: at, total: size, unit: 'bytes' });
    }
    await to.truncate(size);
  } finally {
    await source.close();
  }
}

const ZEROS = Buffer.alloc(CHUNK);

/** Stretches of blocks that are not all zeros. */
function runs(bytes: Buffer): { start: number; end: number }[] {
  if (bytes.equals(ZEROS.subarray(0, bytes.length))) return [];
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

async function writeAll(to: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += (await to.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}
