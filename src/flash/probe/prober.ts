// Starts the thread of a probe, asks it, and does not wait for ever.
import { randomBytes } from 'node:crypto';
import { within } from '../../lib/within.ts';
import { LAST_ANSWER } from '../write/guarded.ts';
import { startThread } from '../write/thread.ts';
import { Fault } from './fault.ts';
import type { Answer, Ask, FromProber } from './orders.ts';
import type { ProbeData } from './probe-thread.ts';

/** Linux gives a SCSI command 30 seconds and tries it up to six times (drivers/scsi/sd.h: SD_TIMEOUT, SD_MAX_RETRIES). */
const SILENCE = 180;

export interface Prober {
  ask: Ask;
  /** No thread is left, but for one that the kernel does not let go: it ends with its last answer. */
  end(): Promise<void>;
}

/** For an open device. What is asked rejects with Fault, or with the reason of `signal`. */
export function startProber(
  fd: number,
  { signal, silence = SILENCE }: { signal: AbortSignal; silence?: number | undefined },
): Prober {
  const noise = randomBytes(8);
  const flags = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT));
  const place = new Float64Array(new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT));
  const run: ProbeData['run'] = [noise.readInt32LE(0), noise.readInt32LE(4)];
  let settle: { resolve: (answer: Answer) => void; reject: (error: unknown) => void } | undefined;
  let onProgress: Parameters<Ask>[1];
  const data: ProbeData = { fd, run, flags, place };
  const thread = startThread('../probe/probe-thread', data, (error) => settle?.reject(error));
  thread.on('message', (message: FromProber) => {
    if (message.type === 'progress') onProgress?.(message.done, message.total);
    else if (message.type === 'done') settle?.resolve(message.answer);
    else settle?.reject(new Fault(message.fault));
  });
  const ask: Ask = async (order, progress) => {
    signal.throwIfAborted();
    const over = new AbortController();
    onProgress = progress;
    try {
      return await new Promise<Answer>((resolve, reject) => {
        settle = { resolve, reject };
        signal.addEventListener('abort', () => reject(signal.reason as Error), { signal: over.signal });
        watch({ flags, silence, over: over.signal }, () =>
          reject(new Fault({ code: 'silent', offset: place[0], seconds: silence })),
        );
        thread.postMessage(order);
      });
    } finally {
      over.abort();
    }
  };
  return {
    ask,
    async end() {
      Atomics.store(flags, 0, 1);
      await within(LAST_ANSWER, thread.terminate());
    },
  };
}

/** Calls `silent` when the device has not answered anything for so many seconds. */
function watch(
  { flags, silence, over }: { flags: Int32Array; silence: number; over: AbortSignal },
  silent: () => void,
): void {
  let [beats, since] = [Atomics.load(flags, 1), performance.now()];
  const timer = setInterval(() => {
    const now = Atomics.load(flags, 1);
    if (now !== beats) [beats, since] = [now, performance.now()];
    else if (performance.now() - since > silence * 1000) silent();
  }, 250);
  over.addEventListener('abort', () => clearInterval(timer));
}
