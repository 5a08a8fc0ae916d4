// The program that runs as root while everything else is the user's: it opens disks, and no files, and does to them what it is asked.
import { stat } from 'node:fs/promises';
import { CHUNK } from '../../flash/write/chunks.ts';
import { sharedMemory } from '../../flash/write/memory.ts';
import type { ReaderEvents, StartReader } from '../../flash/write/reader.ts';
import type { Tell } from '../../flash/write/types.ts';
import type { DiskIdentity } from '../../host/open-disk.ts';
import { PiimgError } from '../../lib/errors.ts';
import { abortOnSignals } from '../signals.ts';
import { errorOf, faultOf } from './fault.ts';
import { openerHere, type DiskProber, type LookedAt } from './opener.ts';
import {
  readFrames,
  sendFrame,
  takeFromPipe,
  type Done,
  type Down,
  type Frame,
  type Request,
  type Up,
} from './remote.ts';
import type { WriterCard, WriterPlan } from './writer.ts';

const STDIN = 0;
const stopped = new AbortController();
const signal = AbortSignal.any([abortOnSignals(), stopped.signal]);
let saying: Promise<void> = Promise.resolve();
const say = (message: Up, bytes?: Uint8Array): void =>
  void (saying = saying.then(() => sendFrame(process.stdout, message, bytes)));

/** Milliseconds between two events about a card's progress. */
const PAUSE = 100;
const shown = new Map<string, number>();

const tell: Tell = (card, event) => {
  const [now, last = -Infinity] = [performance.now(), shown.get(card)];
  if (event.type === 'progress' && event.done !== event.total && now - last < PAUSE) return;
  shown.set(card, now);
  say({ type: 'event', card, event });
};

interface Remote {
  ring: Uint8Array<SharedArrayBuffer>;
  empty: number[];
  events: ReaderEvents;
}
const readers = new Map<number, Remote>();
let last = 0;

const startReader: StartReader = ({ ranges, from, slots }, events) => {
  const id = ++last;
  const ring = sharedMemory(slots * CHUNK);
  const empty = Array.from({ length: slots }, (_, slot) => slot);
  readers.set(id, { ring, empty, events });
  say({ type: 'open', reader: id, ranges, from, slots });
  return {
    ring,
    slots,
    free(slot) {
      empty.push(slot);
      say({ type: 'free', reader: id });
    },
    async stop() {
      readers.delete(id);
      say({ type: 'stop', reader: id });
    },
  };
};

const opener = openerHere(signal, startReader);
const looked = new Map<string, Promise<LookedAt>>();
let prober: DiskProber | undefined;

/** Of files, root has no business with any. */
async function requireDevice(disk: DiskIdentity | undefined, name = disk?.path): Promise<void> {
  if (disk !== undefined && (await stat(disk.path)).isBlockDevice()) return;
  throw new PiimgError(`${name} is no disk`);
}

const keyOf = (disk: DiskIdentity): string => JSON.stringify(disk);

/** The disk that was identified so is opened once, until the look at it ends. */
async function lookedAt(disk: DiskIdentity): Promise<LookedAt> {
  const key = keyOf(disk);
  const file = looked.get(key) ?? requireDevice(disk).then(() => opener.look(disk));
  looked.set(key, file);
  file.catch(() => looked.delete(key));
  return file;
}

type Work = (Exclude<Request, { type: 'plan' }> | { type: 'write'; plan: WriterPlan }) & { id: number };

async function obey(request: Work): Promise<Omit<Done, 'type' | 'id'> & { bytes?: Buffer }> {
  switch (request.type) {
    case 'look': {
      const { disk, offset, length } = request;
      const buffer = Buffer.alloc(length);
      const { bytesRead } = await (await lookedAt(disk)).read(buffer, 0, length, offset);
      return { bytes: buffer.subarray(0, bytesRead) };
    }
    case 'end look': {
      const file = looked.get(keyOf(request.disk));
      looked.delete(keyOf(request.disk));
      await (await file)?.close();
      return {};
    }
    case 'write':
      for (const { disk, name } of request.plan.cards) await requireDevice(disk, name);
      return { flashed: await opener.write(request.plan, tell) };
    case 'probe':
      await requireDevice(request.disk);
      prober = await opener.probe(request.disk);
      return {};
    case 'order': {
      const answer = await prober?.ask(request.order, (done, total) =>
        say({ type: 'progress', id: request.id, done, total }),
      );
      return answer === undefined ? {} : { answer };
    }
    case 'end probe':
      await prober?.end(request.rescan);
      prober = undefined;
      return {};
  }
}

const jobs = new Set<Promise<void>>();

/** Resolves when the bytes of the frame are taken: the next one may be a piece of the image that this one asks for. */
async function serve({ head, take, length }: Frame<Down>): Promise<void> {
  switch (head.type) {
    case 'chunk': {
      const reader = readers.get(head.reader);
      const slot = reader?.empty.shift();
      // Of a reading that was given up meanwhile.
      if (reader === undefined || slot === undefined) return take(new Uint8Array(length));
      await take(reader.ring.subarray(slot * CHUNK, slot * CHUNK + length));
      return reader.events.chunk({ ...head.chunk, slot });
    }
    case 'end':
      return readers.get(head.reader)?.events.end(head.size);
    case 'error':
      return readers.get(head.reader)?.events.error(errorOf(head.fault));
    default: {
      const work =
        head.type === 'plan' ? ({ type: 'write', id: head.id, plan: await planOf(head, take) } as const) : head;
      const job = obey(work).then(
        ({ bytes, ...done }) => say({ type: 'done', id: head.id, ...done }, bytes),
        (error: unknown) => say({ type: 'failed', id: head.id, fault: faultOf(error) }),
      );
      jobs.add(job);
      void job.then(() => jobs.delete(job));
    }
  }
}

async function planOf({ plan }: Extract<Request, { type: 'plan' }>, take: Frame<Down>['take']): Promise<WriterPlan> {
  const cards: WriterCard[] = [];
  for (const { patches, ...card } of plan.cards) {
    const filled: WriterCard['patches'] = [];
    for (const { offset, length, given } of patches) {
      const content = given ? new Uint8Array(length) : undefined;
      if (content !== undefined) await take(content);
      filled.push({ offset, length, ...(content && { content }) });
    }
    cards.push({ ...card, patches: filled });
  }
  return { ...plan, cards };
}

async function main(): Promise<void> {
  say({ type: 'ready' });
  let why: unknown = new Error('piimg has gone');
  try {
    for await (const frame of readFrames<Down>(takeFromPipe(STDIN))) await serve(frame);
  } catch (error) {
    why = error;
    throw error;
  } finally {
    // Nobody is there any more to read the image, nor to hear of it: cards are left so that they boot nowhere.
    stopped.abort(why);
    await Promise.all(jobs);
    await prober?.end(false);
    await saying;
  }
}

// To somebody who has gone nothing is said; that they have is noticed by what is read from them.
process.stdout.on('error', () => {});

main().then(
  () => process.exit(0),
  (error: unknown) => process.stderr.write(`${(error as Error).stack}\n`, () => process.exit(1)),
);
