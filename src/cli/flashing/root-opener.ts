// Opens cards through a program of root's, and reads the image for it.
import { PassThrough } from 'node:stream';
import { run } from '../../host/exec.ts';
import { CHUNK } from '../../flash/write/chunks.ts';
import { LAST_ANSWER } from '../../flash/write/guarded.ts';
import { startReader, type Reader } from '../../flash/write/reader.ts';
import type { FlashedCard, Tell } from '../../flash/write/types.ts';
import { PiimgError } from '../../lib/errors.ts';
import { within } from '../../lib/within.ts';
import { errorOf, faultOf } from './fault.ts';
import type { Opener } from './opener.ts';
import {
  readFrames,
  sendFrame,
  takeFromStream,
  type Done,
  type Down,
  type Request,
  type Up,
  type WirePlan,
} from './remote.ts';
import type { WriterPlan } from './writer.ts';

interface Asked {
  resolve(done: Done & { bytes: Uint8Array }): void;
  reject(error: unknown): void;
  progress?: ((done: number, total: number) => void) | undefined;
}

/** What of `Up` is about the plan that is carried out. */
type OfPlan = Extract<Up, { type: 'open' | 'free' | 'stop' | 'event' }>;

/** By what number it is known that the program is ready, for which nobody asks. */
const READY = 0;

/** Starts `command`, and resolves when it is ready. Rejects when it ends before; its `detail` is then what it said. */
export async function startRootOpener(command: string[], signal: AbortSignal): Promise<Opener> {
  signal.throwIfAborted();
  const pipe = new PassThrough();
  const running = run(command, { input: pipe, stdout: 'stream' });
  const waiting = new Map<number, Asked>();
  let last = 0;
  let gone: unknown;
  let writing: ((message: OfPlan) => void) | undefined;
  let sending: Promise<void> = Promise.resolve();
  const send = (head: Down, bytes?: Uint8Array): Promise<void> =>
    (sending = sending.then(() => sendFrame(pipe, head, bytes)));
  const answerTo = (id: number, progress?: Asked['progress']): Promise<Done & { bytes: Uint8Array }> =>
    new Promise((resolve, reject) => {
      if (gone === undefined) waiting.set(id, { resolve, reject, progress });
      else reject(gone);
    });
  const ask = (request: Request, bytes?: Uint8Array, progress?: Asked['progress']) => {
    const id = ++last;
    const answer = answerTo(id, progress);
    // Not waited for: it is taken once the program has begun.
    void send({ ...request, id }, bytes);
    return answer;
  };
  const answered = (id: number): Asked | undefined => {
    const asked = waiting.get(id);
    waiting.delete(id);
    return asked;
  };
  const heard = (message: Up, bytes: Uint8Array): void => {
    switch (message.type) {
      case 'ready':
        return answered(READY)?.resolve({ type: 'done', id: READY, bytes });
      case 'done':
        return answered(message.id)?.resolve({ ...message, bytes });
      case 'failed':
        return answered(message.id)?.reject(errorOf(message.fault));
      case 'progress':
        return waiting.get(message.id)?.progress?.(message.done, message.total);
      default:
        writing?.(message);
    }
  };
  const listening = (async () => {
    try {
      for await (const { head, take, length } of readFrames<Up>(takeFromStream(running.stdout))) {
        const bytes = new Uint8Array(length);
        await take(bytes);
        heard(head, bytes);
      }
    } catch (error) {
      // Where it ended in the midst of a frame, how it ended says more.
      await within(LAST_ANSWER, running);
      throw error;
    }
    await running;
    throw new PiimgError('The program that opens cards ended without a word');
  })().catch((error: unknown) => {
    gone = error;
    // Nobody takes any more what it says.
    running.stdout.destroy();
    pipe.end();
    for (const asked of waiting.values()) asked.reject(error);
    waiting.clear();
  });
  // Told by whoever listens, if that has not failed before.
  running.catch(() => {});
  // Without anybody to ask it, it leaves its cards as they are.
  const stop = (): void => void pipe.end();
  signal.addEventListener('abort', stop);
  const end = async (): Promise<void> => {
    signal.removeEventListener('abort', stop);
    pipe.end();
    // With a thread that waits for a dead card it cannot end before the card is taken out; nor may sudo, at its prompt, be ended by its user.
    await within(LAST_ANSWER, listening);
    running.leave();
  };
  try {
    await aborting(signal, () => answerTo(READY));
  } catch (error) {
    running.kill();
    await end();
    throw error;
  }
  return {
    async look(disk) {
      return {
        async read(buffer, offset, length, position) {
          const { bytes } = await aborting(signal, () => ask({ type: 'look', disk, offset: position, length }));
          buffer.set(bytes, offset);
          return { bytesRead: bytes.length };
        },
        async close() {
          // What has gone has nothing open.
          await aborting(signal, () => ask({ type: 'end look', disk })).catch(() => {});
        },
      };
    },
    async write(plan, tell) {
      signal.throwIfAborted();
      const { plan: wire, bytes } = wireOf(plan);
      const ended = new Map<string, FlashedCard>();
      let begun = false;
      const readers = readersFor(plan, send, (name, event) => {
        begun = true;
        if (event.type === 'ended') ended.set(name, event.flashed);
        tell(name, event);
      });
      writing = readers.heard;
      try {
        const { flashed } = await ask({ type: 'plan', plan: wire }, bytes);
        if (flashed === undefined) throw new PiimgError('The writer ended without a word');
        return flashed;
      } catch (error) {
        if (!begun) throw error;
        return plan.cards.map(({ name }) => {
          const flashed = ended.get(name) ?? unended(name, error);
          if (!ended.has(name)) tell(name, { type: 'ended', flashed });
          return flashed;
        });
      } finally {
        writing = undefined;
        readers.stop();
      }
    },
    async probe(disk) {
      await aborting(signal, () => ask({ type: 'probe', disk }));
      return {
        async ask(order, progress) {
          const { answer: answered } = await aborting(signal, () => ask({ type: 'order', order }, undefined, progress));
          if (answered === undefined) throw new PiimgError('The prober ended without a word');
          return answered;
        },
        async end(rescan) {
          if (!signal.aborted) await ask({ type: 'end probe', rescan });
        },
      };
    },
    end,
  };
}

/** What `work` comes to; the reason of `signal` as soon as that aborts, or has: then it is not begun. */
async function aborting<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const over = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { signal: over.signal });
  });
  return Promise.race([work(), aborted]).finally(() => over.abort());
}

/** A card of a writer that has gone. */
const unended = (name: string, error: unknown): FlashedCard => ({
  name,
  verdict: 'failed',
  problem: `what wrote it ended: ${(error as Error).message}`,
  hint: 'Nothing boots from it but a whole image. Flash it again, with --resume.',
  written: 0,
  read: 0,
  writing: 0,
  reading: 0,
});

/** What the program needs of a plan: not the image, which is read here, nor what was taken from stdin. */
function wireOf(plan: WriterPlan): { plan: WirePlan; bytes: Uint8Array } {
  const contents = plan.cards.flatMap((card) => card.patches.flatMap(({ content }) => content ?? []));
  const cards = plan.cards.map((card) => ({
    ...card,
    patches: card.patches.map(({ offset, length, content }) => ({ offset, length, given: content !== undefined })),
  }));
  const { prefix: _, spool: __, ...source } = plan.source;
  return { plan: { ...plan, source, cards }, bytes: Buffer.concat(contents) };
}

/**
 * The readers that the program asks for. It has as many slots as the reader here, whose slots are free again when it says so of one of its own:
 * it has then at least as many pieces, and has taken them in the order in which they were sent.
 */
function readersFor(
  plan: WriterPlan,
  send: (head: Down, bytes?: Uint8Array) => Promise<void>,
  tell: Tell,
): { heard: (message: OfPlan) => void; stop: () => void } {
  const readers = new Map<number, Reader & { sent: number[] }>();
  const begin = ({ reader: id, ranges, from, slots }: Extract<Up, { type: 'open' }>): void => {
    const sent: number[] = [];
    // The end of an image comes after its last piece, which may have to wait.
    let line: Promise<unknown> = Promise.resolve();
    const inLine = (work: () => Promise<unknown>): void => void (line = line.then(work));
    const reader = startReader(
      { source: plan.source, ranges, from, slots },
      {
        chunk: ({ slot, ...chunk }) =>
          inLine(() => {
            sent.push(slot);
            const bytes = reader.ring.subarray(slot * CHUNK, slot * CHUNK + chunk.length);
            return send({ type: 'chunk', reader: id, chunk }, bytes);
          }),
        end: (size) => inLine(() => send({ type: 'end', reader: id, size })),
        error: (error) => inLine(() => send({ type: 'error', reader: id, fault: faultOf(error) })),
      },
    );
    readers.set(id, { ...reader, sent });
  };
  return {
    heard(message) {
      switch (message.type) {
        case 'open':
          return begin(message);
        case 'free': {
          const reader = readers.get(message.reader);
          const slot = reader?.sent.shift();
          return slot === undefined ? undefined : reader?.free(slot);
        }
        case 'stop':
          void readers.get(message.reader)?.stop();
          readers.delete(message.reader);
          return;
        case 'event':
          tell(message.card, message.event);
      }
    },
    stop() {
      for (const reader of readers.values()) void reader.stop();
    },
  };
}
