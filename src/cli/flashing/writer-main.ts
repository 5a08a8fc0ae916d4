// The program that runs as root while everything else of a flash is the user's: it takes a plan and pieces of an image, and opens nothing
// but the cards.
import { CHUNK } from '../../flash/write/chunks.ts';
import { sharedMemory } from '../../flash/write/memory.ts';
import type { ReaderEvents, StartReader } from '../../flash/write/reader.ts';
import type { Tell } from '../../flash/write/types.ts';
import { PiimgError } from '../../lib/errors.ts';
import { abortOnSignals } from '../signals.ts';
import { faultOf } from './fault.ts';
import { readFrames, type Frame, type Up } from './remote.ts';
import { runWriter, type WriterCard, type WriterPlan } from './writer.ts';

const stopped = new AbortController();
const signal = AbortSignal.any([abortOnSignals(), stopped.signal]);
const say = (message: Up): void => void process.stdout.write(`${JSON.stringify(message)}\n`);

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

async function serve({ head, take, length }: Frame): Promise<void> {
  if (head.type === 'plan') return;
  const reader = readers.get(head.reader);
  switch (head.type) {
    case 'chunk': {
      const slot = reader?.empty.shift();
      // Of a reading that was given up meanwhile.
      if (reader === undefined || slot === undefined) return take(new Uint8Array(length));
      await take(reader.ring.subarray(slot * CHUNK, slot * CHUNK + length));
      return reader.events.chunk({ ...head.chunk, slot });
    }
    case 'end':
      return reader?.events.end(head.size);
    case 'error':
      return reader?.events.error(new PiimgError(head.fault.message, head.fault));
  }
}

async function planOf({ head, take }: Frame): Promise<WriterPlan> {
  if (head.type !== 'plan') throw new Error(`No plan, but ${head.type}`);
  const cards: WriterCard[] = [];
  for (const { patches, ...card } of head.plan.cards) {
    const filled: WriterCard['patches'] = [];
    for (const { offset, length, given } of patches) {
      const content = given ? new Uint8Array(length) : undefined;
      if (content !== undefined) await take(content);
      filled.push({ offset, length, ...(content && { content }) });
    }
    cards.push({ ...card, patches: filled });
  }
  return { ...head.plan, cards };
}

async function main(): Promise<void> {
  const frames = readFrames(process.stdin);
  const { value: first } = await frames.next();
  if (first === undefined) return;
  const plan = await planOf(first as Frame);
  void (async () => {
    for await (const frame of frames) await serve(frame);
    // Whoever reads the image is gone: nobody will tell of the rest.
    stopped.abort(new Error('the reader has gone'));
  })().catch((error: unknown) => stopped.abort(error));
  const flashed = await runWriter(plan, tell, { signal, startReader });
  say({ type: 'result', flashed });
}

main().then(
  () => process.exit(0),
  (error: unknown) =>
    process.stdout.write(`${JSON.stringify({ type: 'failed', fault: faultOf(error) })}\n`, () => process.exit(1)),
);
