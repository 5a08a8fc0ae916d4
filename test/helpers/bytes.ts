// Bytes of files.
import { open } from 'node:fs/promises';
import { readerOf } from '../../src/image/ranges.ts';

/** Exactly `length` bytes at `offset`. */
export async function bytesAt(file: string, offset: number, length: number): Promise<Buffer> {
  const handle = await open(file);
  try {
    return await readerOf(handle)(offset, length);
  } finally {
    await handle.close();
  }
}

/** Changes one bit of the byte at `offset`; twice, and all is as before. */
export async function flipBit(file: string, offset: number): Promise<void> {
  const [byte = 0] = await bytesAt(file, offset, 1);
  const handle = await open(file, 'r+');
  try {
    await handle.write(Buffer.from([byte ^ 0x10]), 0, 1, offset);
  } finally {
    await handle.close();
  }
}
