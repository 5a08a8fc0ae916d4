// One card as the others of a flash see it: orders to its thread, answers as promises, and what its device makes of them.
import { sha256 } from '../../lib/digest.ts';
import { BLOCK, CHUNK, type Range } from './chunks.ts';
import { FLAG, FLAGS } from './flags.ts';
import { CardFailure } from './failure.ts';
import { sharedMemory } from './memory.ts';
import type { FromCard, Order, Piece } from './messages.ts';
import { startThread } from './thread.ts';
import type { Patch } from './types.ts';

export interface CardSettings {
  fd: number;
  size: number;
  patches: Patch[];
  /** Pieces are only worked out, to compare what is there with them. */
  dry: boolean;
  /** The device failed and was asked again. */
  retried: (what: { op: 'write' | 'read'; offset: number; code: string }) => void;
}

export interface Card {
  /** Writes pieces of the ring that lie one after the other, or zeros. Resolves with the digests of what is on the card then. */
  write(ring: Ring, chunks: Piece[]): Promise<string[]>;
  /** Those of `ranges` that are not right by their digest. `progress` gets the bytes of each that was read. */
  compare(
    ranges: Range[],
    isRight: (range: Range, digest: string) => boolean,
    progress: (bytes: number) => void,
  ): Promise<Range[]>;
  order(op: 'begin' | 'flush' | 'seal' | 'break'): Promise<void>;
  /** When it last answered, in milliseconds of performance.now(). */
  lastAnswer(): number;
  /** No further try, no further piece: what it was asked, and will be, fails with CardFailure. Only `break` is still done. */
  stop(): void;
  end(): Promise<void>;
}

export type Ring = Uint8Array<SharedArrayBuffer>;

interface Waiting {
  resolve(message: { digests?: Map<number, string> }): void;
  reject(error: unknown): void;
}

/** Starts a thread for an open device. Orders are done one after the other; each fails with CardFailure. */
export function startCard({ fd, size, patches, dry, retried }: CardSettings): Card {
  const own = sharedMemory(2 * CHUNK + BLOCK);
  const flags = new Int32Array(new SharedArrayBuffer(FLAGS * Int32Array.BYTES_PER_ELEMENT));
  const waiting: Waiting[] = [];
  let answered = performance.now();
  let stopped = false;
  /** Answers to come that nobody waits for any more. */
  let owed = 0;
  let onRead: ((range: Range, digest: string) => void) | undefined;
  const fail = (error: unknown): void => {
    for (const one of waiting.splice(0)) one.reject(error);
  };
  const thread = startThread('card-thread', { fd, own, flags, patches, dry, size }, fail);
  thread.on('message', (message: FromCard) => {
    answered = performance.now();
    switch (message.type) {
      case 'done':
      case 'failed': {
        if (owed > 0) return void owed--;
        const one = waiting.shift();
        return message.type === 'done'
          ? one?.resolve(message)
          : one?.reject(new CardFailure({ ...message, file: size === Infinity }));
      }
      case 'alive':
        return;
      case 'retried':
        return retried(message);
      case 'read': {
        const { range, buffer } = message;
        const digest = sha256(own.subarray(buffer * CHUNK, buffer * CHUNK + range.length));
        Atomics.store(flags, buffer, 0);
        Atomics.notify(flags, buffer);
        return onRead?.(range, digest);
      }
    }
  });
  const ask = (order: Order): Promise<{ digests?: Map<number, string> }> => {
    if (stopped && order.op !== 'break') return Promise.reject(new CardFailure({ code: 'stopped', op: order.op }));
    if (waiting.length === 0) answered = performance.now();
    return new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      thread.postMessage(order);
    });
  };
  return {
    async write(ring, chunks) {
      const { digests } = await ask({ op: 'write', chunks, ring });
      return chunks.map(({ offset, digest }) => digests?.get(offset) ?? digest);
    },
    async compare(ranges, isRight, progress) {
      const wrong: Range[] = [];
      onRead = (range, digest) => {
        if (!isRight(range, digest)) wrong.push(range);
        progress(range.length);
      };
      await ask({ op: 'read', ranges });
      return wrong;
    },
    order: async (op) => void (await ask({ op })),
    lastAnswer: () => (waiting.length === 0 ? performance.now() : answered),
    stop() {
      stopped = true;
      owed += waiting.length;
      onRead = undefined;
      fail(new CardFailure({ code: 'stopped', op: 'stop' }));
      Atomics.store(flags, FLAG.stop, 1);
      for (const which of [0, 1]) Atomics.notify(flags, which);
    },
    async end() {
      // One that waits for a dead device cannot be ended.
      thread.unref();
      await thread.terminate();
    },
  };
}
