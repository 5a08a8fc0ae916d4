// The finding that a Raspberry Pi's firmware would not start this card.
import { PiimgError } from '../../lib/errors.ts';
import type { Reason } from '../report.ts';

const findings = new WeakMap<Error, Reason>();

/** To be thrown: `problem` follows `this card would not boot: `. */
export function wouldNotBoot(problem: string, hint: string): PiimgError {
  const reason: Reason = { code: 'would-not-boot', message: `this card would not boot: ${problem}`, hint };
  const error = new PiimgError(reason.message, { hint });
  findings.set(error, reason);
  return error;
}

/** The finding, when `error` is one; `undefined` for failures of this computer. */
export function reasonOf(error: unknown): Reason | undefined {
  return error instanceof Error ? findings.get(error) : undefined;
}
