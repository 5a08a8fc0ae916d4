// Deflated bytes amid others: unpacked, and read no further than they reach.
import { createInflateRaw, type InflateRaw } from 'node:zlib';
import type { Pieces } from './pieces.ts';

/**
 * What the next bytes of `pieces` were before they were deflated; of at most `length` bytes. zlib works in a thread of libuv's. Rejects
 * with zlib's own error when they are damaged or end too early, or as `pieces` do.
 */
export async function* inflated(pieces: Pieces, length: number): AsyncGenerator<Buffer> {
  const engine = createInflateRaw({ chunkSize: 1 << 18 });
  const feed = async (): Promise<void> => {
    for await (const piece of pieces.upTo(length)) {
      const before = engine.bytesWritten;
      await write(engine, piece);
      const used = engine.bytesWritten - before;
      // zlib takes nothing that follows the last block.
      if (used < piece.length) return pieces.putBack(piece.subarray(used));
    }
    engine.end();
  };
  feed().catch((error: Error) => engine.destroy(error));
  try {
    for await (const piece of engine) yield piece as Buffer;
  } finally {
    engine.destroy();
  }
}

const write = (engine: InflateRaw, piece: Buffer): Promise<void> =>
  new Promise((resolve, reject) => engine.write(piece, (error) => (error ? reject(error) : resolve())));
