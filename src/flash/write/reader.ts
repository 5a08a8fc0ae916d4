// The reading end of a flash: an image, piece by piece, into a ring of slots that cards hand back.
import { PiimgError } from '../../lib/errors.ts';
import type { Source } from '../source/source.ts';
import type { CheckedRange } from './chunks.ts';
import { CHUNK } from './chunks.ts';
import { sharedMemory } from './memory.ts';
import type { Chunk, FromReader } from './messages.ts';
import { startThread } from './thread.ts';

export interface ReaderEvents {
  chunk: (chunk: Chunk) => void;
  /** Bytes of the whole image. */
  end: (size: number) => void;
  error: (error: Error) => void;
}

export interface Reader {
  ring: Uint8Array<SharedArrayBuffer>;
  slots: number;
  /** Nobody needs what is in this slot any more. */
  free(slot: number): void;
  stop(): Promise<void>;
}

export interface Reading {
  source: Source;
  ranges: CheckedRange[] | undefined;
  from: number;
  slots: number;
}

export type StartReader = (reading: Reading, events: ReaderEvents) => Reader;

/** Reads in a thread of this process. */
export const startReader: StartReader = (reading, events) => {
  const ring = sharedMemory(reading.slots * CHUNK);
  const thread = startThread('reader-thread', { ...reading, ring }, events.error);
  thread.on('message', (message: FromReader) => {
    if (message.type === 'chunk') events.chunk(message.chunk);
    else if (message.type === 'end') events.end(message.size);
    else events.error(new PiimgError(message.fault.message, message.fault));
  });
  return {
    ring,
    slots: reading.slots,
    free: (slot) => thread.postMessage(slot),
    stop: async () => void (await thread.terminate()),
  };
};
