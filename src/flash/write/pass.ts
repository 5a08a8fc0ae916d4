// One reading of the image for any number of cards. A card that cannot keep up, or has stopped answering, gets a reading of its own.
import type { Card } from './card.ts';
import { adjacent, type CheckedRange, type Range } from './chunks.ts';
import type { Chunk } from './messages.ts';
import type { Reader, StartReader } from './reader.ts';
import type { Source } from '../source/source.ts';

/** Pieces in the ring: a tenth of a second of a quick card, enough for one to catch its breath. */
const SLOTS = 12;
/** A reading of one card's own needs less. */
const OWN_SLOTS = 4;
/** Orders a card has at a time: one it works on, and the next. */
const AHEAD = 2;
/** Seconds that cards may have waited for others in all before the slow ones are left to themselves. */
const PATIENCE = 2;
const TICK = 100;

export interface Member {
  card: Card;
  /** Bytes that it gets at a time, where so many are there: a piece at least. */
  block: number;
  /** Whether this piece is to be written; when not, what it should be is noted all the same. */
  wants(chunk: Range): boolean;
  /** A piece is on the card, or was passed over, with this digest. */
  noted(chunk: Chunk, digest: string, written: boolean): void;
}

export interface Feed {
  source: Source;
  /** Undefined where only the image's end tells how long it is. */
  ranges: CheckedRange[] | undefined;
  startReader: StartReader;
  signal: AbortSignal;
}

interface Eater extends Member {
  queue: Chunk[];
  /** Orders under way, and pieces in them. */
  orders: number;
  flying: number;
  /** Seconds it has waited while others were behind. */
  idle: number;
  /** The reading it takes part in, while it does. */
  home?: { pump(eater: Eater): void; leave(eater: Eater): Chunk[] };
  done(size: number): void;
  failed(error: unknown): void;
}

/**
 * For each member, the bytes of the whole image once the last piece is on its card. A member's promise rejects with what its card or the
 * reading failed of; the others go on.
 */
export function feed(from: Feed, members: Member[]): Promise<number>[] {
  const eaters: Eater[] = [];
  const promises = members.map(
    (member) =>
      new Promise<number>((done, failed) => {
        eaters.push({ ...member, queue: [], orders: 0, flying: 0, idle: 0, done, failed });
      }),
  );
  if (eaters.length > 0) read(from, new Set(eaters), 0, SLOTS);
  return promises;
}

function read({ source, ranges, startReader, signal }: Feed, eaters: Set<Eater>, from: number, slots: number): void {
  const holders = new Map<number, number>();
  let position = from;
  let size: number | undefined;
  let reader: Reader | undefined;

  const release = (slot: number): void => {
    const left = (holders.get(slot) ?? 1) - 1;
    holders.set(slot, left);
    if (left > 0) return;
    holders.delete(slot);
    reader?.free(slot);
  };
  const close = (): void => {
    clearInterval(timer);
    signal.removeEventListener('abort', aborted);
    void reader?.stop();
  };
  const leave = (eater: Eater): Chunk[] => {
    eaters.delete(eater);
    delete eater.home;
    const queue = eater.queue.splice(0);
    for (const { slot } of queue) release(slot);
    if (eaters.size === 0) close();
    return queue;
  };
  const write = async (eater: Eater, chunks: Chunk[], ring: Reader['ring']): Promise<void> => {
    eater.orders++;
    eater.flying += chunks.length;
    try {
      const digests = await eater.card.write(ring, chunks);
      for (const [index, chunk] of chunks.entries()) eater.noted(chunk, digests[index] ?? chunk.digest, true);
    } catch (error) {
      eater.home?.leave(eater);
      eater.failed(error);
    } finally {
      eater.orders--;
      eater.flying -= chunks.length;
      for (const { slot } of chunks) release(slot);
    }
    // Meanwhile it may have a reading of its own.
    eater.home?.pump(eater);
  };
  const next = ({ orders, queue, block }: Eater): Chunk[] =>
    orders < AHEAD ? queue.splice(0, adjacent(queue, block)) : [];
  const pump = (eater: Eater): void => {
    // Nothing is in the queue before there is a reader.
    if (reader !== undefined)
      for (let chunks = next(eater); chunks.length > 0; chunks = next(eater)) void write(eater, chunks, reader.ring);
    if (size === undefined || eater.queue.length > 0 || eater.flying > 0) return;
    leave(eater);
    eater.done(size);
  };
  const failAll = (error: unknown): void => {
    for (const eater of Array.from(eaters)) {
      leave(eater);
      eater.failed(error);
    }
  };
  const aborted = (): void => failAll(signal.reason);

  /** Those who hold the reading up, from where they are, in a reading of their own. */
  const part = (slow: Eater[]): void => {
    const starts = slow.map((eater) => leave(eater)[0]?.offset ?? position);
    for (const [index, eater] of slow.entries()) {
      eater.idle = 0;
      read({ source, ranges, startReader, signal }, new Set([eater]), starts[index] ?? 0, OWN_SLOTS);
    }
  };
  const look = (): void => {
    if (holders.size < slots || size !== undefined || !source.rereadable) return;
    const waiting = [...eaters].filter(({ queue, flying }) => queue.length === 0 && flying === 0);
    for (const eater of waiting) eater.idle += TICK / 1000;
    if (!waiting.some(({ idle }) => idle > PATIENCE)) return;
    for (const eater of eaters) eater.idle = 0;
    const most = Math.max(...[...eaters].map(({ queue, flying }) => queue.length + flying));
    part([...eaters].filter(({ queue, flying }) => queue.length + flying === most));
  };
  const timer = setInterval(look, TICK);

  for (const eater of eaters) eater.home = { pump, leave };
  signal.addEventListener('abort', aborted);
  reader = startReader(
    { source, ranges, from, slots },
    {
      chunk(chunk) {
        position = chunk.offset + chunk.length;
        holders.set(chunk.slot, 1);
        for (const eater of eaters) {
          if (eater.wants(chunk)) {
            holders.set(chunk.slot, (holders.get(chunk.slot) ?? 0) + 1);
            eater.queue.push(chunk);
          } else eater.noted(chunk, chunk.digest, false);
        }
        release(chunk.slot);
        for (const eater of Array.from(eaters)) pump(eater);
      },
      end(bytes) {
        size = bytes;
        for (const eater of Array.from(eaters)) pump(eater);
      },
      error: failAll,
    },
  );
  if (signal.aborted) aborted();
}
