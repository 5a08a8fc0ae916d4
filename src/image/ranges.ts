// Byte ranges of an image, and reading from it at random.

export interface ByteRange {
  offset: number;
  length: number;
}

/** Reads exactly `length` bytes at `offset` of an image or a device: to the beginning of `into`, or of a buffer of their own. */
export type ReadAt = (offset: number, length: number, into?: Buffer) => Promise<Buffer>;

/** What is open to be read, as a FileHandle is. */
export interface Positioned {
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
}

/** Reads an open file; what lies beyond its end is an error, for no file system reaches there. */
export function readerOf(file: Positioned): ReadAt {
  return async (offset, length, into = Buffer.alloc(length)) => {
    const buffer = into.subarray(0, length);
    const { bytesRead } = await file.read(buffer, 0, length, offset);
    if (bytesRead !== length) throw new RangeError(`The image ends before byte ${offset + length}.`);
    return buffer;
  };
}

/** Bytes of what is read into one buffer, over and over. */
const PASSED = 1 << 18;

/** Passes a range on in pieces, by each of the readers; of each only until the next one is asked for. */
export async function* passing(
  readers: ReadAt[],
  { offset, length }: ByteRange,
): AsyncGenerator<{ at: number; pieces: Buffer[] }> {
  const all = readers.map((read) => ({ read, buffer: Buffer.alloc(Math.min(PASSED, length)) }));
  for (let at = offset; at < offset + length; at += PASSED) {
    const size = Math.min(PASSED, offset + length - at);
    yield { at, pieces: await Promise.all(all.map(({ read, buffer }) => read(at, size, buffer))) };
  }
}

/** Bytes of a piece that one of several threads has at a time, at most: small enough that all have as much to do. */
const PIECE = 16 << 20;

export const inPieces = ({ offset, length }: ByteRange): ByteRange[] =>
  Array.from({ length: Math.ceil(length / PIECE) }, (_, index) => ({
    offset: offset + index * PIECE,
    length: Math.min(PIECE, length - index * PIECE),
  }));

/** Sorted, widened to whole blocks, and with those that touch made one. */
export function wholeBlocks(ranges: ByteRange[], block: number): ByteRange[] {
  const sorted = ranges
    .filter(({ length }) => length > 0)
    .map(({ offset, length }) => ({
      from: Math.floor(offset / block) * block,
      to: Math.ceil((offset + length) / block) * block,
    }))
    .sort((a, b) => a.from - b.from);
  const merged: ByteRange[] = [];
  for (const { from, to } of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last.offset + last.length) {
      last.length = Math.max(last.length, to - last.offset);
    } else {
      merged.push({ offset: from, length: to - from });
    }
  }
  return merged;
}

/** The same bytes, the ranges cut also where one of `places` begins or ends. Both are sorted, none over another of theirs. */
export function cutAt(ranges: ByteRange[], places: ByteRange[]): ByteRange[] {
  const cuts = [...new Set(places.flatMap(({ offset, length }) => [offset, offset + length]))].sort((a, b) => a - b);
  return ranges.flatMap(({ offset, length }) => {
    const end = offset + length;
    const edges = [offset, ...cuts.filter((cut) => cut > offset && cut < end), end];
    return edges.slice(1).map((edge, index) => ({ offset: edges[index] ?? 0, length: edge - (edges[index] ?? 0) }));
  });
}
