// A writer that runs as root, and its reader that does not: what they say to each other over two pipes.
import type { Readable, Writable } from 'node:stream';
import { once } from 'node:events';
import type { FlashedCard, FlashEvent } from '../../flash/write/types.ts';
import type { CheckedRange, Range } from '../../flash/write/chunks.ts';
import type { Fault } from '../../flash/write/messages.ts';
import type { WriterCard, WriterPlan } from './writer.ts';

/** A plan without the bytes of its patches, nor those of stdin that were read already: the writer reads no image. */
export type WirePlan = Omit<WriterPlan, 'cards'> & {
  cards: (Omit<WriterCard, 'patches'> & { patches: (Range & { given: boolean })[] })[];
};

/** To the writer: a head in JSON, and bytes. Bytes of a plan are all patches, one after the other. */
export type Down =
  | { type: 'plan'; plan: WirePlan }
  | { type: 'chunk'; reader: number; chunk: Range & { digest: string } }
  | { type: 'end'; reader: number; size: number }
  | { type: 'error'; reader: number; fault: Fault };

/** From the writer, a line of JSON each. */
export type Up =
  | { type: 'open'; reader: number; ranges: CheckedRange[] | undefined; from: number; slots: number }
  /** Room for one more piece. */
  | { type: 'free' | 'stop'; reader: number }
  | { type: 'event'; card: string; event: FlashEvent }
  | { type: 'result'; flashed: FlashedCard[] }
  | { type: 'failed'; fault: Fault };

/** 4 bytes of the head's length, 4 of the bytes', little endian. */
const LENGTHS = 8;

/** Writes a frame, and waits while the pipe is full. Nothing is written to one that was ended. */
export async function sendFrame(pipe: Writable, head: Down, bytes: Uint8Array = new Uint8Array(0)): Promise<void> {
  const text = Buffer.from(JSON.stringify(head));
  const lengths = Buffer.alloc(LENGTHS);
  lengths.writeUInt32LE(text.length, 0);
  lengths.writeUInt32LE(bytes.length, 4);
  if (pipe.writableEnded || pipe.destroyed) return;
  // A copy: the memory is used again before the pipe has taken all of it.
  if (pipe.write(Buffer.concat([lengths, text, bytes]))) return;
  const over = new AbortController();
  const { signal } = over;
  await Promise.race([once(pipe, 'drain', { signal }), once(pipe, 'close', { signal })]).finally(() => over.abort());
}

export interface Frame {
  head: Down;
  /** Fills `view` with the next of its bytes. All are to be taken before the next frame. */
  take: (view: Uint8Array) => Promise<void>;
  length: number;
}

/** Frames as they come, until the pipe ends. Throws Error when it ends within one. */
export async function* readFrames(pipe: Readable): AsyncGenerator<Frame> {
  const pieces = pipe[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let rest: Buffer = Buffer.alloc(0);
  const fill = async (view: Uint8Array): Promise<number> => {
    let filled = 0;
    while (filled < view.length) {
      if (rest.length === 0) {
        const { value, done } = await pieces.next();
        if (done) break;
        rest = value;
      }
      const part = rest.subarray(0, view.length - filled);
      view.set(part, filled);
      rest = rest.subarray(part.length);
      filled += part.length;
    }
    return filled;
  };
  const take = async (view: Uint8Array): Promise<void> => {
    if ((await fill(view)) < view.length) throw new Error('The reader of the image has gone.');
  };
  for (;;) {
    const lengths = Buffer.alloc(LENGTHS);
    if ((await fill(lengths.subarray(0, 1))) === 0) return;
    await take(lengths.subarray(1));
    const text = Buffer.alloc(lengths.readUInt32LE(0));
    await take(text);
    yield { head: JSON.parse(text.toString()) as Down, take, length: lengths.readUInt32LE(4) };
  }
}
