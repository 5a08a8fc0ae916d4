// A device of which nothing more can be had.
import type { FaultFacts } from './orders.ts';

/** Codes of errno(3) of a device that is not there any more. */
const GONE = new Set(['ENODEV', 'ENXIO', 'ENOMEDIUM', 'EBADF']);

export const isGone = (code: string): boolean => GONE.has(code);

export class Fault extends Error {
  readonly facts: FaultFacts;

  constructor(facts: FaultFacts) {
    super(wordsOf(facts));
    this.name = 'Fault';
    this.facts = facts;
  }
}

function wordsOf({ code, offset, seconds }: FaultFacts): string {
  const place = offset === undefined ? '' : ` at byte ${offset} (sector ${Math.floor(offset / 512)})`;
  if (code === 'silent') return `did not answer${place} for ${seconds} seconds`;
  return isGone(code) ? `is gone since it failed${place}: ${code}` : `failed${place}: ${code}`;
}
