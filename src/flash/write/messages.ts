// What the threads of a flash say to each other.
import type { PiimgError } from '../../lib/errors.ts';
import type { Range } from './chunks.ts';

/** A piece of the image in the ring. */
export interface Chunk extends Range {
  /** Which slot of the ring, counted from 0. */
  slot: number;
  /** sha256 of its bytes, in hex. */
  digest: string;
}

/** A piece as a card is to get it. */
export type Piece = Range & { slot?: number; digest: string };

/** An error on its way between threads or processes: what a structured clone and JSON keep. */
export interface Fault {
  message: string;
  hint?: string | undefined;
  detail?: string | undefined;
  exitCode?: PiimgError['exitCode'];
}

export type FromReader =
  | { type: 'chunk'; chunk: Chunk }
  /** Bytes of the whole image. */
  | { type: 'end'; size: number }
  | { type: 'error'; fault: Fault };

/** What a card's thread is asked, one after the other. */
export type Order =
  /** Zeroes the first block, so that nothing boots from it until all is there. */
  | { op: 'begin' }
  /** Writes pieces from the ring, which lie one after the other there and on the card; or zeros where there is no slot. */
  | { op: 'write'; ring: Uint8Array<SharedArrayBuffer>; chunks: Piece[] }
  /** All that was written is on the card when it is answered. */
  | { op: 'flush' }
  /** Reads each range back into one of the two buffers and says so; goes on when the buffer is free again. */
  | { op: 'read'; ranges: Range[] }
  /** Writes the first block and flushes; or zeroes it again. */
  | { op: 'seal' | 'break' };

export type FromCard =
  /** An order is done. Of a piece with the card's own bytes in it the digest is another one: by the piece's offset. */
  | { type: 'done'; digests?: Map<number, string> }
  /** A piece of an order is done, or tried: it is at work. */
  | { type: 'alive' }
  | { type: 'read'; range: Range; buffer: 0 | 1 }
  /** The device failed at first. */
  | { type: 'retried'; offset: number; code: string; op: 'write' | 'read' }
  | { type: 'failed'; code: string; op: string; offset?: number };
