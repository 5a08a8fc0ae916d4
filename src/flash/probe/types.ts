// What a probe finds out about a card.
import type { Range } from '../write/chunks.ts';

/** What was read in place of what was written. */
export type What =
  /** What was written to another place: addresses wrap. */
  | 'elsewhere'
  /** What a former round or run has written there: the writing was lost. */
  | 'old'
  /** One byte over and over: zeros, or ones. */
  | 'blank'
  | 'changed'
  /** Nothing: the device said that it failed, in writing or reading. */
  | 'error';

export interface Wrong extends Range {
  what: What;
  /** Of 'elsewhere': where its first byte was written to. */
  from?: number;
  /** Of 'error': errno. */
  code?: string;
}

/** What a card does with writings beyond what it really has. */
export type Kind = 'wraps' | 'loses' | 'fails';

export interface Speed {
  /** Bytes per second, in pieces of 1 MiB. */
  sequentialWrite: number;
  sequentialRead: number;
  /** Of 4096 bytes, one after the other, per second. */
  randomWrite: number;
  randomRead: number;
  /** The application performance class whose numbers it reaches, through this reader and one request at a time. */
  reaches: 'A2' | 'A1' | 'none';
}

export interface EveryBlock {
  /** That were written and read back. */
  bytes: number;
  wrongBytes: number;
  /** Seconds. */
  writing: number;
  reading: number;
}

export interface ProbeResult {
  verdict:
    | 'good'
    /** It has less than it says. */
    | 'fake'
    /** Some of it is bad, and what lies beyond is not. */
    | 'damaged'
    /** The device failed, or did not answer, so that nothing more can be said. */
    | 'failed';
  /** Bytes it says it has. */
  size: number;
  /** Bytes from its beginning on that it really has; undefined where that could not be found out. */
  real?: number;
  kind?: Kind;
  /** First wrong of what was looked at. */
  firstWrong?: Wrong;
  /** How many places were looked at, beside the last stretch of the card. */
  places: number;
  speed?: Speed;
  everyBlock?: EveryBlock;
  /** Bad ranges that were found, a thousand at most. */
  bad: Wrong[];
  /** Bytes that were read wrong at first and right when they were read again. */
  slips: number;
  /** Of a failed one: what happened. */
  problem?: string;
  /** Its first and its last MiB are zeros, so far as it has them. */
  emptied: boolean;
}
