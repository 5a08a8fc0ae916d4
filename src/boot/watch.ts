// Watches a machine that runs: reads on in the file of its console, asks how busy it is, until there is a reason to stop.
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { NOTHING_SEEN, observe, type Watched } from './console.ts';

/** Milliseconds between two looks. */
const LOOK = 250;

export interface Watch {
  /** Until there is a reason, or `over` settles: then it has seen everything. */
  until(over: Promise<unknown>): Promise<Watched>;
  /** All there is to see now. */
  seen(): Promise<Watched>;
  /** What was seen last. */
  last(): Watched;
  /** From now on the machine may switch itself off. */
  mayGoOff(): void;
  close(): Promise<void>;
}

/** `busySeconds`: since power-on, all processors together; undefined where nobody knows. */
export function watchMachine(file: string, busySeconds: () => Promise<number | undefined>): Watch {
  const opened = open(file);
  const decoder = new TextDecoder();
  const poweredOn = performance.now();
  let watched = NOTHING_SEEN;
  let mayGoOff = false;
  let busyBefore: number | undefined = 0;

  const look = async (): Promise<Watched> => {
    const text = decoder.decode(await readOn(await opened), { stream: true });
    const busyNow = await busySeconds();
    const busy = busyNow === undefined || busyBefore === undefined ? undefined : busyNow - busyBefore;
    busyBefore = busyNow;
    watched = observe(watched, { at: (performance.now() - poweredOn) / 1000, text, busy, mayGoOff });
    return watched;
  };
  // One after the other: each takes up where the last one ended.
  let looking: Promise<Watched> = Promise.resolve(watched);
  const seen = () => (looking = looking.then(look));

  return {
    async until(over) {
      const ended = over.then(() => true);
      for (;;) {
        const all = await Promise.race([sleep(LOOK, false), ended]);
        const { reason } = await seen();
        if (all || reason !== undefined) return watched;
      }
    },
    seen,
    last: () => watched,
    mayGoOff: () => (mayGoOff = true),
    async close() {
      await looking;
      await (await opened).close();
    },
  };
}

/** What was added to the file since the last call. */
async function readOn(log: Awaited<ReturnType<typeof open>>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (;;) {
    const { bytesRead, buffer } = await log.read({ buffer: Buffer.alloc(64 * 1024) });
    if (bytesRead === 0) return Buffer.concat(chunks);
    chunks.push(buffer.subarray(0, bytesRead));
  }
}
