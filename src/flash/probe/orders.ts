// What a probe asks its thread for, and what that answers.
import type { Range } from '../write/chunks.ts';
import type { Wrong } from './types.ts';

/** Rounds tell what was written last from what was there before. All that was written is on the card when an order is answered. */
export type Order =
  /** Writes blocks. */
  | { op: 'mark'; places: number[]; round: number }
  /** Reads blocks. */
  | { op: 'look'; places: number[]; round: number }
  /** Writes a range, in large pieces, from its beginning to its end; `zero` with nothing on them. */
  | { op: 'fill' | 'zero'; range: Range; round: number }
  /** Reads one. */
  | { op: 'check'; range: Range; round: number }
  /** Blocks here and there in a range, for so many seconds. */
  | { op: 'random write' | 'random read'; range: Range; seconds: number; round: number };

export interface Answer {
  /** The first thousand. */
  wrong: Wrong[];
  wrongBytes: number;
  slips: number;
  /** Of 'mark' and 'look': those that were tried; of hopeless cases not all. */
  tried: number[];
  /** Bytes that were written or read. */
  bytes: number;
  /** That the device took for it. */
  seconds: number;
}

/** What the device said, and where. */
export interface FaultFacts {
  /** errno; `silent` when it has not answered for so many `seconds`. */
  code: string;
  offset: number | undefined;
  seconds?: number;
}

export type FromProber =
  | { type: 'progress'; done: number; total: number }
  | { type: 'done'; answer: Answer }
  | { type: 'failed'; fault: FaultFacts };

/** Has an order obeyed. Rejects with Fault when nothing more can be had of the device. */
export type Ask = (order: Order, progress?: (done: number, total: number) => void) => Promise<Answer>;
