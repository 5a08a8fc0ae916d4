// Reading a stream in pieces of the length one asks for.

export interface ByteReader {
  /** Exactly `length` bytes; fewer only at the end. */
  read(length: number): Promise<Buffer>;
  /** Hands on exactly `length` bytes in the chunks they came in. Throws Error when the stream ends before. */
  pass(length: number, to: (chunk: Buffer) => void | Promise<void>): Promise<void>;
  /** Ends the stream, read to its end or not: a program that still writes to it must not wait for ever. */
  close(): Promise<void>;
}

/** A reader over a stream of buffers. */
export function byteReader(stream: AsyncIterable<Buffer>): ByteReader {
  const chunks = stream[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);
  const more = async (): Promise<boolean> => {
    const next = await chunks.next();
    if (next.done) return false;
    rest = rest.length === 0 ? next.value : Buffer.concat([rest, next.value]);
    return true;
  };
  const take = (length: number): Buffer => {
    const piece = rest.subarray(0, length);
    rest = rest.subarray(length);
    return piece;
  };
  return {
    async read(length) {
      while (rest.length < length && (await more())) continue;
      return take(Math.min(length, rest.length));
    },
    async pass(length, to) {
      for (let left = length; left > 0;) {
        if (rest.length === 0 && !(await more())) throw new Error('the archive ends too early');
        const piece = take(Math.min(left, rest.length));
        left -= piece.length;
        await to(piece);
      }
    },
    async close() {
      await chunks.return?.();
    },
  };
}
