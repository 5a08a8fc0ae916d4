// Checksums of an image while it is being finished: one thread hashes the whole, another each range of the block map.
// And copies of ranges of a file, with their checksums.
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { packageRoot } from '../host/package-root.ts';
import type { Step } from '../lib/progress.ts';
import type { ByteRange } from './ranges.ts';

export interface CheckedRange extends ByteRange {
  sha256: string;
}

export interface ImageDigester {
  /**
   * Reads on to byte `end` and returns the ranges with their checksums. `ranges` lie between the last end and this one,
   * sorted, none over another, in whole blocks of 4096 (wholeBlocks makes them so).
   */
  readTo(end: number, ranges: ByteRange[], step?: Pick<Step, 'update'>): Promise<CheckedRange[]>;
  /** The sha256 of all that was read. */
  sha256(): string;
  close(): Promise<void>;
}

/** Opens the image at `path`, of `size` bytes, for one pass from its first byte to its last. */
export function digestImage(path: string, size: number): ImageDigester {
  const whole = startThread({ path, checksum: 'sha256', running: true });
  const parts = startThread({ path, checksum: 'sha256', running: false });
  let position = 0;
  let digest = '';
  return {
    async readTo(end, ranges, step) {
      const pieces: Piece[] = [];
      for (const range of [...ranges, { offset: end, length: 0 }]) {
        if (range.offset > position) pieces.push({ offset: position, length: range.offset - position, hole: true });
        if (range.length > 0) pieces.push({ ...range, hole: false });
        position = range.offset + range.length;
      }
      const [sofar, each] = await Promise.all([
        whole.digest(pieces, (done) => step?.update({ done, total: size, unit: 'bytes' })),
        parts.digest(ranges.map((range) => ({ ...range, hole: false }))),
      ]);
      digest = sofar.at(-1) ?? digest;
      return ranges.map((range, i) => ({ ...range, sha256: each[i] ?? '' }));
    },
    sha256: () => digest,
    async close() {
      await Promise.all([whole.end(), parts.end()]);
    },
  };
}

/**
 * The CRC-32 (as of zlib, in hex) of each range of the file at `path`: against a failing disk, not against malice, at three times
 * the speed of sha256. With `to`, another file, the ranges are copied to the same places there, so that they are read once.
 * Rejects with the error of what failed, its `syscall` among the rest, and when the file is shorter.
 */
export async function crcOfRanges(path: string, ranges: ByteRange[], to?: string): Promise<string[]> {
  const half = ranges.reduce((sum, { length }) => sum + length, 0) / 2;
  let before = 0;
  const middle = ranges.findIndex(({ length }) => (before += length) > half);
  const halves = [ranges.slice(0, middle), ranges.slice(middle)].map((part) => ({
    pieces: part.map((range) => ({ ...range, hole: false })),
    thread: startThread({ path, ...(to !== undefined && { to }), checksum: 'crc32', running: false }),
  }));
  try {
    return (await Promise.all(halves.map(({ thread, pieces }) => thread.digest(pieces)))).flat();
  } finally {
    await Promise.all(halves.map(({ thread }) => thread.end()));
  }
}

interface Piece extends ByteRange {
  hole: boolean;
}

interface ThreadData {
  path: string;
  /** Another file, which gets what is read. */
  to?: string;
  checksum: 'sha256' | 'crc32';
  /** One sum over all pieces, told as it stands after each; else one for each piece. */
  running: boolean;
}

interface Thread {
  /** The digests after or of each piece; `read` hears the position now and then. Rejects when the file cannot be read. */
  digest(pieces: Piece[], read?: (position: number) => void): Promise<string[]>;
  end(): Promise<unknown>;
}

/** digest-thread.mjs, under way. */
function startThread(data: ThreadData): Thread {
  const worker = new Worker(path.join(packageRoot, 'src/image/digest-thread.mjs'), { workerData: data });
  const failed = new Promise<never>((_resolve, reject) => worker.once('error', reject));
  failed.catch(() => {});
  return {
    digest(pieces, read) {
      const answered = new Promise<string[]>((resolve) => {
        const hear = (answer: number | string[]) => {
          if (typeof answer === 'number') return read?.(answer);
          worker.off('message', hear);
          resolve(answer);
        };
        worker.on('message', hear);
        worker.postMessage(pieces);
      });
      return Promise.race([answered, failed]);
    },
    end: () => worker.terminate(),
  };
}
