// The program of root's that opens cards, and piimg, which does not: what they say to each other over two pipes.
import { Socket, type ConnectOpts, type SocketConstructorOpts } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { once } from 'node:events';
import type { Answer, Order } from '../../flash/probe/orders.ts';
import type { FlashedCard, FlashEvent } from '../../flash/write/types.ts';
import type { CheckedRange, Range } from '../../flash/write/chunks.ts';
import type { DiskIdentity } from '../../host/open-disk.ts';
import type { WireFault } from './fault.ts';
import type { WriterCard, WriterPlan } from './writer.ts';

/** A plan without the bytes of its patches, nor those of stdin that were read already: the writer reads no image. */
export type WirePlan = Omit<WriterPlan, 'cards'> & {
  cards: (Omit<WriterCard, 'patches'> & { patches: (Range & { given: boolean })[] })[];
};

/** What is asked of it; each is answered by a `done` or `failed` of its number. */
export type Request =
  | { type: 'look'; disk: DiskIdentity; offset: number; length: number }
  /** It is not kept open: another card may be put in while somebody is asked. */
  | { type: 'end look'; disk: DiskIdentity }
  /** Its bytes are those of all patches, one after the other. */
  | { type: 'plan'; plan: WirePlan }
  | { type: 'probe'; disk: DiskIdentity }
  | { type: 'order'; order: Order }
  | { type: 'end probe'; rescan: boolean };

/** To it. */
export type Down =
  | (Request & { id: number })
  | { type: 'chunk'; reader: number; chunk: Range & { digest: string } }
  | { type: 'end'; reader: number; size: number }
  | { type: 'error'; reader: number; fault: WireFault };

/** What a request comes to: the bytes of a look, `flashed` of a plan, `answer` of an order. */
export interface Done {
  type: 'done';
  id: number;
  flashed?: FlashedCard[];
  answer?: Answer;
}

/** From it. */
export type Up =
  | { type: 'ready' }
  | Done
  | { type: 'failed'; id: number; fault: WireFault }
  | { type: 'progress'; id: number; done: number; total: number }
  | { type: 'open'; reader: number; ranges: CheckedRange[] | undefined; from: number; slots: number }
  /** Room for one more piece. */
  | { type: 'free' | 'stop'; reader: number }
  | { type: 'event'; card: string; event: FlashEvent };

/** 4 bytes of the head's length, 4 of the bytes', little endian. */
const LENGTHS = 8;

/**
 * Writes a frame, a head in JSON and bytes, and waits while the pipe is full. Nothing is written to one that was ended. The bytes must stay
 * as they are until the other end has them.
 */
export async function sendFrame(pipe: Writable, head: Down | Up, bytes: Uint8Array = new Uint8Array(0)): Promise<void> {
  const text = Buffer.from(JSON.stringify(head));
  const lengths = Buffer.alloc(LENGTHS);
  lengths.writeUInt32LE(text.length, 0);
  lengths.writeUInt32LE(bytes.length, 4);
  if (pipe.writableEnded || pipe.destroyed) return;
  const room = pipe.write(Buffer.concat([lengths, text]));
  if (bytes.length === 0 ? room : pipe.write(bytes)) return;
  const over = new AbortController();
  const { signal } = over;
  const told = [once(pipe, 'drain', { signal }), once(pipe, 'close', { signal })];
  await Promise.race(told)
    // Whoever reads it has gone, which others notice.
    .catch(() => {})
    .finally(() => over.abort());
}

export interface Frame<Head> {
  head: Head;
  /** Fills `view` with the next of its bytes. All are to be taken before the next frame. */
  take: (view: Uint8Array) => Promise<void>;
  length: number;
}

/** Fills the beginning of `view`, and gives how many bytes; 0 at the end. */
export type TakeSome = (view: Uint8Array) => Promise<number>;

export function takeFromStream(pipe: Readable): TakeSome {
  const pieces = pipe[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let rest: Buffer = Buffer.alloc(0);
  return async (view) => {
    if (rest.length === 0) {
      const { value, done } = await pieces.next();
      if (done) return 0;
      rest = value;
    }
    const part = rest.subarray(0, view.length);
    view.set(part);
    rest = rest.subarray(part.length);
    return part.length;
  };
}

/** Bytes read at once: more than a pipe holds. */
const PIECE = 1 << 18;

/** Into one buffer: a stream would make one of every 64 KiB, which lie around until they are looked for. */
export function takeFromPipe(fd: number): TakeSome {
  let rest: Uint8Array = new Uint8Array(0);
  let ended: Error | boolean = false;
  let wake = (): void => {};
  const end = (why: Error | true): void => {
    ended ||= why;
    wake();
  };
  // Its types know of that in connections only.
  const options: SocketConstructorOpts & ConnectOpts = {
    fd,
    readable: true,
    writable: false,
    onread: {
      buffer: Buffer.alloc(PIECE),
      callback: (count, buffer) => {
        rest = buffer.subarray(0, count);
        wake();
        // No more before that is taken.
        return false;
      },
    },
  };
  const socket = new Socket(options);
  for (const event of ['end', 'close']) socket.on(event, () => end(true));
  socket.on('error', end).resume();
  return async (view) => {
    if (rest.length === 0 && !ended) await new Promise<void>((resolve) => (wake = resolve));
    if (rest.length === 0) {
      if (ended instanceof Error) throw ended;
      return 0;
    }
    const part = rest.subarray(0, view.length);
    view.set(part);
    rest = rest.subarray(part.length);
    if (rest.length === 0) socket.resume();
    return part.length;
  };
}

/** Frames as they come, until the pipe ends. Throws Error when it ends within one. */
export async function* readFrames<Head>(some: TakeSome): AsyncGenerator<Frame<Head>> {
  const fill = async (view: Uint8Array): Promise<number> => {
    let filled = 0;
    while (filled < view.length) {
      const count = await some(view.subarray(filled));
      if (count === 0) break;
      filled += count;
    }
    return filled;
  };
  const take = async (view: Uint8Array): Promise<void> => {
    if ((await fill(view)) < view.length) throw new Error('The other end of the pipe has gone.');
  };
  for (;;) {
    const lengths = Buffer.alloc(LENGTHS);
    if ((await fill(lengths.subarray(0, 1))) === 0) return;
    await take(lengths.subarray(1));
    const text = Buffer.alloc(lengths.readUInt32LE(0));
    await take(text);
    yield { head: JSON.parse(text.toString()) as Head, take, length: lengths.readUInt32LE(4) };
  }
}
