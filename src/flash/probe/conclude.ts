// What a survey of a card says about it. Pure.
import { BLOCK, type Range } from '../write/chunks.ts';
import type { Kind, Wrong } from './types.ts';

export interface Survey {
  /** Blocks that read as they were written. */
  right: number[];
  wrong: Wrong[];
  /** The stretch at the end, where it was written. */
  run: (Range & { wrongBytes: number }) | undefined;
}

export type Conclusion =
  | { state: 'right' }
  /** After a length that `distance` is a multiple of, addresses begin anew: what was written there is found at `at`. */
  | { state: 'wraps'; distance: number; at: number; first: Wrong }
  /** From somewhere between the two on nothing is right; before the very first block when `lastRight` is negative. */
  | { state: 'ends'; lastRight: number; first: Wrong; cached: boolean }
  /** Right again beyond what is wrong. */
  | { state: 'damaged'; first: Wrong };

export function conclude({ right, wrong, run }: Survey): Conclusion {
  const [first] = wrong.toSorted((a, b) => a.offset - b.offset);
  if (first === undefined) return { state: 'right' };
  const moved = wrong.filter((one) => one.what === 'elsewhere');
  if (moved[0] !== undefined) {
    const distances = moved.map(({ offset, from = offset }) => Math.abs(from - offset));
    return { state: 'wraps', distance: distances.reduce(greatestDivisor), at: moved[0].offset, first };
  }
  const inRun = run !== undefined && first.offset >= run.offset;
  const rightInRun = run === undefined ? 0 : run.length - run.wrongBytes;
  const firstOfRun =
    run !== undefined && !wrong.some(({ offset }) => offset >= run.offset && offset < run.offset + BLOCK);
  // A cache keeps the end of the run, never its beginning.
  const rightBeyond = inRun
    ? run.offset + run.length - first.offset > run.wrongBytes
    : right.some((place) => place > first.offset && !(run !== undefined && place >= run.offset)) || firstOfRun;
  if (rightBeyond) return { state: 'damaged', first };
  const block = first.offset - (first.offset % BLOCK);
  const lastRight = inRun
    ? block - BLOCK
    : right.reduce((last, place) => (place < block ? Math.max(last, place) : last), -BLOCK);
  return { state: 'ends', lastRight, first, cached: !inRun && rightInRun > 0 };
}

export const kindOf = ({ what }: Wrong): Kind =>
  what === 'elsewhere' ? 'wraps' : what === 'error' ? 'fails' : 'loses';

/** Euclid's. */
const greatestDivisor = (a: number, b: number): number => (b === 0 ? a : greatestDivisor(b, a % b));
