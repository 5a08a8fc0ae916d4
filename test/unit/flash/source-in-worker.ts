// A process that looks at an image in its main thread and reads it in a worker, as a flash does: `SOURCE [from] [stop]`.
import { createHash } from 'node:crypto';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { readBeginning } from '../../../src/flash/source/beginning.ts';
import { readSource } from '../../../src/flash/source/read.ts';
import { openSource, type Source } from '../../../src/flash/source/source.ts';

/** What is printed, as JSON. */
export interface Report {
  packing?: string;
  size?: number;
  /** Bytes, and their sha256. */
  beginning?: [number, string];
  whole?: [number, string];
  error?: string;
  /** Milliseconds until the worker was ended, in the midst of reading. */
  ended?: number;
}

const signal = AbortSignal.timeout(60_000);

function fail(error: unknown): void {
  const report: Report = { error: (error as Error).message };
  if (isMainThread) console.log(JSON.stringify(report));
  else parentPort?.postMessage(report);
}

async function inWorker({ source, from }: { source: Source; from: number }): Promise<void> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const piece of readSource(source, { from, signal })) {
    if (size === 0) parentPort?.postMessage('begun');
    size += piece.length;
    hash.update(piece);
  }
  parentPort?.postMessage({ whole: [size, hash.digest('hex')] } satisfies Report);
}

async function inMain([name = '', from = '0', stop]: string[]): Promise<void> {
  const opened = await openSource(name, { signal });
  const { source, bytes } = await readBeginning(opened, 1_000_000, signal);
  const { packing, size } = source;
  const beginning: Report['beginning'] = [bytes.length, createHash('sha256').update(bytes).digest('hex')];
  const [api, self] = [import.meta.resolve('tsx/esm/api'), import.meta.url].map((url) => JSON.stringify(url));
  const worker = new Worker(`import(${api}).then(({ register }) => (register(), import(${self})))`, {
    eval: true,
    workerData: { source, from: Number(from) },
  });
  worker.on('error', fail);
  worker.on('message', (message: Report | 'begun') => {
    if (message !== 'begun') console.log(JSON.stringify({ packing, size, beginning, ...message }));
    else if (stop !== undefined) {
      setTimeout(() => {
        const before = Date.now();
        void worker.terminate().then(() => console.log(JSON.stringify({ ended: Date.now() - before })));
      }, 300);
    }
  });
}

if (isMainThread) inMain(process.argv.slice(2)).catch(fail);
else inWorker(workerData as { source: Source; from: number }).catch(fail);
