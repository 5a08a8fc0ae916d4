// A thread that reads the image, unpacks it and works out digests, as fast as slots of the ring become free.
import { createHash, type Hash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, statSync, type Stats } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { sha256 } from '../../lib/digest.ts';
import { PiimgError } from '../../lib/errors.ts';
import { stampOf } from '../../lib/stamp.ts';
import { readSource } from '../source/read.ts';
import type { Source } from '../source/source.ts';
import { CHUNK, chunksOf, wholeBlocks, type CheckedRange } from './chunks.ts';
import type { FromReader } from './messages.ts';

export interface ReaderData {
  source: Source;
  /** Undefined where only the image's end tells how long it is. */
  ranges: CheckedRange[] | undefined;
  /** Byte of the image to begin at. */
  from: number;
  ring: Uint8Array<SharedArrayBuffer>;
  slots: number;
}

/** Fills `view` with what the image has from `offset` on; gives fewer bytes only at its end. Offsets never go back. */
type Fill = (view: Uint8Array, offset: number) => Promise<number>;

const { source, ranges, from, ring, slots } = workerData as ReaderData;
const port = parentPort;
if (port === null) throw new Error('reader-thread.ts is a thread');
const tell = (message: FromReader): void => port.postMessage(message);

const free = Array.from({ length: slots }, (_, slot) => slot);
let wake = (): void => {};
port.on('message', (slot: number) => {
  free.push(slot);
  wake();
});

async function freeSlot(): Promise<number> {
  for (;;) {
    const slot = free.shift();
    if (slot !== undefined) return slot;
    await new Promise<void>((resolve) => (wake = resolve));
  }
}

interface Reading {
  fill: Fill;
  /** Goes on to the image's end, and closes it. Gives the bytes of all of it. */
  end: () => Promise<number>;
}

/** A file is read straight into the ring. */
function fileFill(begin: number): Reading {
  const file = openSync(source.name, 'r');
  let size = begin;
  const fill: Fill = async (view, offset) => {
    let filled = 0;
    while (filled < view.length) {
      const count = readSync(file, view, filled, view.length - filled, offset + filled);
      if (count === 0) break;
      filled += count;
    }
    size = offset + filled;
    return filled;
  };
  const end = async (): Promise<number> => {
    const info = fstatSync(file);
    closeSync(file);
    requireSame(info);
    // Of a block device the system tells none.
    return info.isFile() ? info.size : (source.size ?? size);
  };
  return { fill, end };
}

function streamFill(begin: number): Reading {
  const stop = new AbortController();
  const pieces = readSource(source, { from: begin, signal: stop.signal });
  let position = begin;
  let rest: Uint8Array = new Uint8Array(0);
  /** False at the end. */
  const more = async (): Promise<boolean> => {
    position += rest.length;
    const { value, done } = await pieces.next();
    rest = done ? new Uint8Array(0) : value;
    return !done;
  };
  const fill: Fill = async (view, offset) => {
    let filled = 0;
    while (filled < view.length) {
      const skip = offset + filled - position;
      if (skip >= rest.length) {
        if (!(await more())) break;
        continue;
      }
      const part = rest.subarray(skip, skip + view.length - filled);
      view.set(part, filled);
      filled += part.length;
    }
    return filled;
  };
  // To its very end, where packed files have their checksums.
  const end = async (): Promise<number> => {
    while (await more());
    return position;
  };
  return { fill, end };
}

/** A card may be read for more than once, hours apart: all of it must be of one image. */
function requireSame(info: Stats): void {
  if (source.stamp === undefined || stampOf(info) === source.stamp) return;
  throw new PiimgError(`The image ${source.name} was changed while it was read`, {
    hint: 'Wait until nobody writes to it, then run the command again.',
  });
}

async function main(): Promise<void> {
  if (source.kind === 'file') requireSame(statSync(source.name));
  const straight = source.kind === 'file' && source.packing === 'none' && source.sha256 === undefined;
  const begin = beginningOf(from);
  const { fill, end } = straight ? fileFill(begin) : streamFill(begin);
  const check = rangeChecker();
  for (const { offset, length } of chunksOf(ranges ?? [{ offset: 0, length: Infinity }], begin)) {
    const slot = await freeSlot();
    const view = ring.subarray(slot * CHUNK, slot * CHUNK + wholeBlocks(Math.min(length, CHUNK)));
    const filled = await fill(view.subarray(0, length), offset);
    if (ranges !== undefined && filled < length) {
      throw new PiimgError(`The image ${source.name} is cut off: it ends at byte ${offset + filled}`, {
        hint: 'Download, copy or build it again.',
      });
    }
    if (filled === 0) break;
    check(offset, view.subarray(0, filled));
    // Read for its range's checksum only.
    if (offset < from) {
      free.push(slot);
      continue;
    }
    const whole = view.subarray(0, wholeBlocks(filled));
    whole.fill(0, filled);
    tell({ type: 'chunk', chunk: { slot, offset, length: whole.length, digest: sha256(whole) } });
    if (filled < length) break;
  }
  const size = await end();
  if (source.kind === 'file') requireSame(statSync(source.name));
  tell({ type: 'end', size });
}

/** Where to begin so that no checksum is left out: who takes part from `from` on has had nothing else of a range that it lies in. */
const beginningOf = (from: number): number =>
  ranges?.find((range) => range.sum !== undefined && range.offset < from && from < endOf(range))?.offset ?? from;

/** Compares ranges that have a checksum in the block map. */
function rangeChecker(): (offset: number, bytes: Uint8Array) => void {
  const checked = ranges?.filter(({ sum }) => sum !== undefined) ?? [];
  let hash: Hash | undefined;
  let index = 0;
  return (offset, bytes) => {
    while (index < checked.length && offset >= endOf(checked[index])) index++;
    const range = checked[index];
    if (range === undefined || offset < range.offset) return;
    if (offset === range.offset) hash = createHash(range.sum?.type ?? '');
    hash?.update(bytes);
    if (hash === undefined || offset + bytes.length < endOf(range)) return;
    const found = hash.digest('hex');
    hash = undefined;
    if (found === range.sum?.hex) return;
    throw new PiimgError(
      `The image ${source.name} is not what its block map says, between byte ${range.offset} and ${endOf(range)}`,
      { hint: 'The image is damaged, or another one than the .bmap beside it: build or copy both again.' },
    );
  };
}

const endOf = (range: CheckedRange | undefined): number => (range === undefined ? 0 : range.offset + range.length);

main().catch((error: unknown) => {
  const { message, hint, detail, exitCode } = error as PiimgError;
  tell({ type: 'error', fault: { message, hint, detail, exitCode } });
});
