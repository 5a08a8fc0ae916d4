// A thread that writes one card and reads it back: it waits for its device, and for nothing else, so that no card waits for another.
import { fsyncSync, readSync, writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { sha256 } from '../../lib/digest.ts';
import { FLAG } from './flags.ts';
import { BLOCK, CHUNK, overlap, totalOf, wholeBlocks, type Range } from './chunks.ts';
import type { FromCard, Order, Piece } from './messages.ts';
import type { Patch } from './types.ts';

interface CardData {
  /** File descriptor of the device. */
  fd: number;
  /** Two buffers of CHUNK bytes. */
  own: Uint8Array<SharedArrayBuffer>;
  /** As flags.ts has them. */
  flags: Int32Array<SharedArrayBuffer>;
  patches: Patch[];
  /** Nothing is written: pieces are only worked out. */
  dry: boolean;
  /** Bytes of the device: the last block of an image may reach beyond, with nothing but zeros in it. */
  size: number;
}

const { fd, own, flags, patches, dry, size } = workerData as CardData;
const port = parentPort;
if (port === null) throw new Error('card-thread.ts is a thread');
const tell = (message: FromCard): void => port.postMessage(message);

/** Milliseconds before each further try: a card that cleans up is back in a second or two; one that is worn never is. */
const PAUSES = [200, 1000, 3000];
const GONE = new Set(['ENODEV', 'ENXIO', 'ENOMEDIUM', 'ENOSPC', 'EBADF']);

const buffer = (which: 0 | 1): Uint8Array => own.subarray(which * CHUNK, (which + 1) * CHUNK);
/** The first block as it is to be in the end. */
const first = own.subarray(2 * CHUNK, 2 * CHUNK + BLOCK);
const isStopped = (): boolean => Atomics.load(flags, FLAG.stop) !== 0;
const sleep = (milliseconds: number): unknown =>
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);

class DeviceError extends Error {
  readonly code: string;
  readonly offset: number;
  constructor(code: string, offset: number) {
    super(code);
    this.code = code;
    this.offset = offset;
  }
}

type Io = (view: Uint8Array, offset: number) => void;

/** All of `view`, however little the device takes at a time. */
function wholly(transfer: (view: Uint8Array, offset: number) => number): Io {
  return (view, offset) => {
    for (let at = 0; at < view.length;) {
      const count = transfer(view.subarray(at), offset + at);
      if (count === 0) throw Object.assign(new Error('nothing transferred'), { code: 'EIO' });
      at += count;
    }
  };
}
const write = wholly((view, offset) => writeSync(fd, view, 0, view.length, offset));
const read = wholly((view, offset) => readSync(fd, view, 0, view.length, offset));

/** The one order that a card which was given up still gets, and with patience. */
let breaking = false;

/** Bytes that the device takes at a time: all, or a block once it has taken block by block what it refused as a whole. */
let most = Infinity;

function patiently(op: 'write' | 'read', io: Io, view: Uint8Array, offset: number): void {
  // What is found out with the first piece is for the next ones: all of this one is done by then.
  const step = most;
  for (let at = 0; at < view.length; at += step) {
    if (at > 0 && at % CHUNK === 0) tell({ type: 'alive' });
    again(op, io, view.subarray(at, at + step), offset + at);
  }
}

/** Tries again a few times; throws DeviceError with the first block that cannot be transferred. */
function again(op: 'write' | 'read', io: Io, view: Uint8Array, offset: number): void {
  for (const pause of [...PAUSES, undefined]) {
    try {
      io(view, offset);
      return;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'EIO';
      if (pause === undefined || GONE.has(code) || (isStopped() && !breaking)) {
        // A block alone is known; one that was given up is left alone.
        const bad = view.length > BLOCK && !isStopped() ? firstBad(io, view, offset) : offset;
        // Block by block all of it went through after all.
        if (bad === undefined) {
          most = BLOCK;
          return;
        }
        throw new DeviceError(code, bad);
      }
      tell({ type: 'retried', offset, code, op });
      sleep(pause);
    }
  }
}

function firstBad(io: Io, view: Uint8Array, offset: number): number | undefined {
  for (let at = 0; at < view.length; at += BLOCK) {
    if (at > 0 && at % CHUNK === 0) tell({ type: 'alive' });
    try {
      io(view.subarray(at, at + BLOCK), offset + at);
    } catch {
      return offset + at;
    }
  }
  return undefined;
}

/** What the card has there; direct I/O reads whole blocks only. */
function ownBytes(from: number, to: number): Uint8Array {
  const start = from - (from % BLOCK);
  const blocks = buffer(1).subarray(0, Math.min(wholeBlocks(to - start), size - start));
  patiently('read', read, blocks, start);
  return blocks.subarray(from - start, to - start);
}

type Ring = Extract<Order, { op: 'write' }>['ring'];

/** Nothing of it is the card's own, and all of it is there to be written. */
const isPlain = (piece: Piece): boolean =>
  piece.slot !== undefined &&
  (dry || piece.offset > 0) &&
  piece.offset + piece.length <= size &&
  !patches.some((patch) => overlap(patch, piece));

/** Gives the digests of pieces that are written one by one, as they are on the card. */
function writeChunks(ring: Ring, chunks: Piece[]): Map<number, string> {
  const digests = new Map<number, string>();
  const [head] = chunks;
  if (head?.slot !== undefined && chunks.every(isPlain)) {
    const length = totalOf(chunks);
    if (!dry) patiently('write', write, ring.subarray(head.slot * CHUNK, head.slot * CHUNK + length), head.offset);
    return digests;
  }
  for (const chunk of chunks) digests.set(chunk.offset, writeChunk(ring, chunk));
  return digests;
}

function writeChunk(ring: Ring, { offset, length, slot, digest }: Piece): string {
  const image = slot === undefined ? undefined : ring.subarray(slot * CHUNK, slot * CHUNK + length);
  const here = patches.filter((patch) => overlap(patch, { offset, length }));
  const kept = Math.min(length, size - offset);
  // Only what fills the image's last block up may be cut off.
  if (length - kept >= BLOCK || image?.subarray(Math.max(0, kept)).some((byte) => byte !== 0))
    throw new DeviceError('ENOSPC', size);
  const view = buffer(0).subarray(0, kept);
  if (image === undefined) view.fill(0);
  else view.set(image.subarray(0, kept));
  for (const { offset: at, length: count, content } of here) {
    const from = Math.max(at, offset);
    const to = Math.min(at + count, offset + kept);
    if (content === undefined) view.set(ownBytes(from, to), from - offset);
    else view.set(content.subarray(from - at, to - at), from - offset);
  }
  const changed = here.length > 0 || kept < length ? sha256(view) : digest;
  if (dry) return changed;
  if (offset === 0) {
    first.set(view.subarray(0, BLOCK));
    view.fill(0, 0, BLOCK);
  }
  patiently('write', write, view, offset);
  return changed;
}

/** Not before what was read last into the same buffer has been looked at. */
function readBack(ranges: Range[]): void {
  for (const [index, range] of ranges.entries()) {
    const which = (index % 2) as 0 | 1;
    while (Atomics.load(flags, which) !== 0 && !isStopped()) Atomics.wait(flags, which, 1, 1000);
    if (isStopped()) throw new DeviceError('stopped', range.offset);
    const length = Math.min(range.length, size - range.offset);
    patiently('read', read, buffer(which).subarray(0, length), range.offset);
    Atomics.store(flags, which, 1);
    tell({ type: 'read', range: { offset: range.offset, length }, buffer: which });
  }
}

function firstBlock(content: Uint8Array | undefined): void {
  const view = buffer(0).subarray(0, BLOCK);
  if (content === undefined) view.fill(0);
  else view.set(content);
  patiently('write', write, view, 0);
  fsyncSync(fd);
}

function obey(order: Order): Map<number, string> | undefined {
  switch (order.op) {
    case 'begin':
    case 'break':
      breaking = order.op === 'break';
      firstBlock(undefined);
      return undefined;
    case 'write':
      return writeChunks(order.ring, order.chunks);
    case 'flush':
      fsyncSync(fd);
      return undefined;
    case 'read':
      readBack(order.ranges);
      return undefined;
    case 'seal':
      firstBlock(first);
      return undefined;
  }
}

/** After a failure, or when it was given up, nothing more is done to a card; that it cannot boot must still be possible. */
let failed: DeviceError | undefined;

port.on('message', (order: Order) => {
  try {
    if (order.op !== 'break' && isStopped()) throw new DeviceError('stopped', 0);
    if (order.op !== 'break' && failed !== undefined) throw failed;
    const digests = obey(order);
    tell({ type: 'done', ...(digests && digests.size > 0 && { digests }) });
  } catch (error) {
    const { code, offset } = error as DeviceError;
    failed ??= error as DeviceError;
    if (!(error instanceof DeviceError) && (error as NodeJS.ErrnoException).syscall === undefined) throw error;
    tell({ type: 'failed', op: order.op, code, ...(offset !== undefined && { offset }) });
  }
});
