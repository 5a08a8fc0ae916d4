// What a flash is asked to do, and what it tells.
import type { Source } from '../source/source.ts';
import type { CheckedRange, Range } from './chunks.ts';

/** Bytes that a card has instead of the image's. Without `content`: whatever it has; only comparing can do with that. */
export interface Patch extends Range {
  content?: Uint8Array;
}

export interface CardToWrite {
  /** For events. */
  name: string;
  /** Open for reading and writing, exclusively, without the page cache. */
  fd: number;
  /** Bytes of the device. */
  size: number;
  /** Bytes that it is best given at a time, where that is known. */
  block?: number;
  patches: Patch[];
  /** What lies before this byte was written in an earlier run, it is thought: it is read back all the same. */
  resumeFrom: number;
  /** Whether what was on it is gone already, its first block at least; `perhaps` where that was broken off. */
  emptied?: 'yes' | 'no' | 'perhaps';
  /** It did not answer even before it was written. */
  dead?: boolean;
}

export interface FlashJob {
  source: Source;
  /** Undefined: all of the image, however long it turns out to be. */
  ranges: CheckedRange[] | undefined;
  /** Bytes of the whole image, where they are known: its end need not be in `ranges`. */
  size?: number | undefined;
  /** Bytes that it must have at least, as its partitions reach so far. */
  least?: number | undefined;
  /** What it is thought to have where `size` is not known, as its partitions reach so far: for progress. */
  about?: number | undefined;
  cards: CardToWrite[];
  mode: 'write' | 'write+verify' | 'verify';
  /** Zero all that the image does not map, to the end of the card. */
  wipe: boolean;
}

export type Phase = 'writing' | 'wiping' | 'reading back';

/** What happens to a card. */
export type FlashEvent =
  /** Bytes, those to be read back included, of `total` or about so many; what lies before `upTo` need not be written again. */
  | { type: 'progress'; phase: Phase; done: number; total: number | undefined; upTo: number }
  | { type: 'note'; message: string }
  /** Nothing more is done to it, whatever the others do. */
  | { type: 'ended'; flashed: FlashedCard };

export type Tell = (card: string, event: FlashEvent) => void;

/** How it ended for a card. */
export interface FlashedCard {
  name: string;
  verdict: 'verified' | 'written' | 'failed' | 'stopped';
  /** Why not, in words, and what to do. */
  problem?: string;
  hint?: string;
  /** Bytes. */
  imageSize?: number;
  written: number;
  read: number;
  /** Seconds. */
  writing: number;
  reading: number;
  /** Of all that was read back: sha256 over a line `OFFSET LENGTH SHA256` for each piece. */
  digest?: string;
  /** The same of what the image has there. Without an identity, and if nothing was wiped, the two are one. */
  imageDigest?: string;
}
