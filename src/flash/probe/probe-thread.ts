// The thread of a probe: it waits for the card, so that nobody else has to.
import { fsyncSync, readSync, writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { CHUNK } from '../write/chunks.ts';
import { sharedMemory } from '../write/memory.ts';
import { isGone } from './fault.ts';
import { obey, type Device } from './obey.ts';
import type { FromProber, Order } from './orders.ts';

export interface ProbeData {
  /** File descriptor of the device. */
  fd: number;
  run: [number, number];
  /** [0] asks it to stop; [1] counts what the device has answered. */
  flags: Int32Array<SharedArrayBuffer>;
  /** [0] is the byte of the device that it is at. */
  place: Float64Array<SharedArrayBuffer>;
}

const { fd, run, flags, place } = workerData as ProbeData;
const port = parentPort;
if (port === null) throw new Error('probe-thread.ts is a thread');
const tell = (message: FromProber): void => port.postMessage(message);

/** Milliseconds before a second try: a card that cleans up, or a reader that was reset, is back by then. */
const PAUSE = 300;
/** Milliseconds between two words of progress. */
const INTERVAL = 100;

type Transfer = (view: Uint8Array, offset: number) => number;

/** All of `view`, however little the device takes at a time, at the second try at the latest. */
function device(transfer: Transfer): Device['write'] {
  const once = (view: Uint8Array, offset: number): void => {
    for (let at = 0; at < view.length;) {
      if (Atomics.load(flags, 0) !== 0) throw Object.assign(new Error('stopped'), { code: 'EBADF' });
      const count = transfer(view.subarray(at), offset + at);
      if (count === 0) throw Object.assign(new Error('nothing transferred'), { code: 'EIO' });
      at += count;
    }
    Atomics.add(flags, 1, 1);
  };
  return (view, offset) => {
    place[0] = offset;
    try {
      once(view, offset);
    } catch (error) {
      Atomics.add(flags, 1, 1);
      if (!isGone((error as NodeJS.ErrnoException).code ?? '')) {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE);
        try {
          once(view, offset);
          return;
        } catch {
          Atomics.add(flags, 1, 1);
        }
      }
      throw Object.assign(error as Error, { offset });
    }
  };
}

const work = {
  device: {
    write: device((view, offset) => writeSync(fd, view, 0, view.length, offset)),
    read: device((view, offset) => readSync(fd, view, 0, view.length, offset)),
    flush() {
      fsyncSync(fd);
      Atomics.add(flags, 1, 1);
    },
  },
  room: sharedMemory(CHUNK),
  run,
  progress(done: number, total: number) {
    if (performance.now() - told < INTERVAL) return;
    told = performance.now();
    tell({ type: 'progress', done, total });
  },
};
let told = 0;

port.on('message', (order: Order) => {
  try {
    tell({ type: 'done', answer: obey(order, work) });
  } catch (error) {
    const { code, offset } = error as NodeJS.ErrnoException & { offset?: number };
    if (code === undefined) throw error;
    tell({ type: 'failed', fault: { code, offset } });
  }
});
