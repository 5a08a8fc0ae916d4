// What is inside of a card: bytes in a file, and what a bad card makes of requests for them.
import { spawn } from 'node:child_process';
import { openSync, readSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Behaviour, CardRequest, Range } from './behaviour.ts';

const { EIO, ENOSPC } = constants.errno;

export interface Medium {
  behaviour: Behaviour;
  /** All since the card was made. */
  requests: CardRequest[];
  /** An errno, or the bytes. */
  read(range: Range): number | Buffer;
  /** An errno; 0 is none. */
  write(offset: number, bytes: Buffer): number;
  discard(range: Range): Promise<void>;
}

/** Below that many bytes it costs less to write zeros than to start the program that makes holes. */
const SMALL = 1 << 20;

const touches = (ranges: Range[] | undefined, { offset, length }: Range): boolean =>
  ranges?.some((range) => range.offset < offset + length && offset < range.offset + range.length) ?? false;

export function openMedium(file: string): Medium {
  const fd = openSync(file, 'r+');
  let written = 0;

  /** The errno for a request that leaves what is there, on a card that admits it. */
  const overrun = ({ offset, length }: Range): number => {
    const { real, beyond = 'EIO' } = medium.behaviour;
    if (real === undefined || offset + length <= real || beyond === 'wrap' || beyond === 'lost') return 0;
    return beyond === 'EIO' ? EIO : ENOSPC;
  };

  const medium: Medium = {
    behaviour: {},
    requests: [],

    read(range) {
      medium.requests.push({ kind: 'read', ...range });
      if (medium.behaviour.pulled || touches(medium.behaviour.badReads, range)) return EIO;
      const errno = overrun(range);
      if (errno !== 0) return errno;
      const bytes = Buffer.alloc(range.length);
      for (const { at, from, length } of pieces(range, medium.behaviour)) {
        if (at !== undefined) readSync(fd, bytes, from, length, at);
      }
      return bytes;
    },

    write(offset, bytes) {
      const range = { offset, length: bytes.length };
      medium.requests.push({ kind: 'write', ...range });
      const { badWrites, largest = Infinity, flips = [], after, pulled } = medium.behaviour;
      if (pulled || range.length > largest || touches(badWrites, range)) return EIO;
      const errno = overrun(range);
      if (errno !== 0) return errno;
      for (const flip of flips) {
        const byte = bytes[flip - offset];
        if (byte !== undefined) bytes[flip - offset] = byte ^ 1;
      }
      for (const { at, from, length } of pieces(range, medium.behaviour)) {
        if (at !== undefined) writeSync(fd, bytes, from, length, at);
      }
      written += bytes.length;
      if (after !== undefined && written >= after.written) {
        medium.behaviour = { ...medium.behaviour, after: undefined, ...after.turns };
      }
      return 0;
    },

    async discard(range) {
      medium.requests.push({ kind: 'discard', ...range });
      while (medium.behaviour.discards === 'slow') await sleep(50);
      if (medium.behaviour.discards === 'ignored') return;
      for (const { at, length } of pieces(range, medium.behaviour)) {
        if (at === undefined) continue;
        if (length <= SMALL) writeSync(fd, Buffer.alloc(length), 0, length, at);
        else await punch(file, at, length);
      }
    },
  };
  return medium;
}

/** Where the parts of a range are in the file; nowhere when `at` is undefined. */
function* pieces(
  { offset, length }: Range,
  { real, beyond }: Behaviour,
): Generator<{ at?: number; from: number; length: number }> {
  for (let from = 0; from < length;) {
    const start = offset + from;
    const left = length - from;
    if (real === undefined || start + left <= real) {
      yield { at: start, from, length: left };
      return;
    }
    if (start >= real && beyond !== 'wrap') {
      yield { from, length: left };
      return;
    }
    const at = start % real;
    const piece = Math.min(left, real - at);
    yield { at, from, length: piece };
    from += piece;
  }
}

/** Node cannot make a hole in a file. */
function punch(file: string, offset: number, length: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const args = ['--punch-hole', '--offset', String(offset), '--length', String(length), file];
    const child = spawn('fallocate', args, { stdio: 'ignore' });
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`fallocate ended with status ${code}`))));
  });
}
