// Bytes that come in pieces, read by count.

export interface Pieces {
  /** `length` bytes, fewer only at the end. They are kept until `take` or `upTo` has them. */
  peek(length: number): Promise<Buffer>;
  take(length: number): Promise<Buffer>;
  /** The next `length` bytes as they come, fewer only at the end. */
  upTo(length: number): AsyncGenerator<Buffer>;
  /** Puts the end of what was read last back. */
  putBack(bytes: Buffer): void;
}

/** Reads no further than it is asked to. */
export function piecesOf(iterator: AsyncIterator<Uint8Array>): Pieces {
  let ahead: Buffer = Buffer.alloc(0);
  const next = async (): Promise<Buffer | undefined> => {
    const { value, done } = await iterator.next();
    return done ? undefined : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  };
  const split = (length: number): Buffer => {
    const first = ahead.subarray(0, length);
    ahead = ahead.subarray(length);
    return first;
  };
  const peek = async (length: number): Promise<Buffer> => {
    while (ahead.length < length) {
      const more = await next();
      if (more === undefined) break;
      ahead = Buffer.concat([ahead, more]);
    }
    return ahead.subarray(0, length);
  };
  return {
    peek,
    take: async (length) => {
      await peek(length);
      return split(length);
    },
    upTo: async function* (length) {
      for (let left = length; left > 0;) {
        if (ahead.length === 0) ahead = (await next()) ?? ahead;
        if (ahead.length === 0) return;
        const piece = split(Math.min(left, ahead.length));
        left -= piece.length;
        yield piece;
      }
    },
    putBack: (bytes) => {
      ahead = Buffer.concat([bytes, ahead]);
    },
  };
}
