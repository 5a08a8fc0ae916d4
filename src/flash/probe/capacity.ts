// How much a card really has: a survey of all of it, then a search for the edge, until below it everything is right.
import { BLOCK } from '../write/chunks.ts';
import { conclude, kindOf } from './conclude.ts';
import { findEdge, findPeriod } from './edge.ts';
import { GRAIN, wholeBlocksOf } from './places.ts';
import { survey, type Probing, type Run } from './survey.ts';
import type { Kind, Wrong } from './types.ts';

export interface Capacity {
  /** Bytes from the beginning on that it has. */
  real: number;
  /** Why it is less than it says; none when there is good beyond what is bad. */
  kind?: Kind;
  firstWrong?: Wrong;
  /** What is bad in the midst of what is good. */
  bad: Wrong[];
  places: number;
  /** The stretch that was written and read as a whole. */
  stretch: Run;
}

/** Of a card of `size` bytes. Throws Fault when it fails altogether. */
export async function findCapacity(probing: Probing, size: number): Promise<Capacity> {
  let end = wholeBlocksOf(size);
  let seen = await survey(probing, end);
  const common = { places: seen.places, stretch: seen.stretch, bad: [] };
  let wrapped: { real: number; kind: Kind; firstWrong: Wrong } | undefined;
  for (;;) {
    const found = conclude(seen);
    switch (found.state) {
      case 'right':
        return { ...common, real: size, ...wrapped };
      case 'damaged':
        return { ...common, real: found.first.offset, firstWrong: found.first, bad: seen.wrong };
      case 'ends': {
        const { real, firstWrong } = await findEdge(probing, found, seen.stretch);
        return { ...common, real, kind: kindOf(firstWrong), firstWrong };
      }
      case 'wraps': {
        const period = await findPeriod(probing, found, end);
        const firstWrong: Wrong = { offset: period, length: BLOCK, what: 'elsewhere', from: 0 };
        wrapped = { real: period, kind: 'wraps', firstWrong };
        // Smaller than any card is: nothing of it can be trusted.
        if (period < GRAIN || period >= end) return { ...common, ...wrapped, real: 0 };
        end = wholeBlocksOf(period);
        seen = await survey(probing, end);
      }
    }
  }
}
