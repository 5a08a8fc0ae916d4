// An error, as what another process can make one of again.
import { Fault as CardFault } from '../../flash/probe/fault.ts';
import type { FaultFacts } from '../../flash/probe/orders.ts';
import type { Fault } from '../../flash/write/messages.ts';
import { EXIT, PiimgError } from '../../lib/errors.ts';

/** With what a device has said of a probe, or the system of a call: there is something to do about those. */
export interface WireFault extends Fault {
  facts?: FaultFacts;
  system?: { code: string; syscall: string };
}

export function faultOf(error: unknown): WireFault {
  if (error instanceof CardFault) return { message: error.message, facts: error.facts };
  if (error instanceof PiimgError) {
    const { message, hint, detail, exitCode } = error;
    return { message, hint, detail, exitCode };
  }
  const { message, stack, code, syscall } = error as NodeJS.ErrnoException;
  if (code !== undefined && syscall !== undefined) return { message, detail: stack, system: { code, syscall } };
  return { message, detail: stack, exitCode: EXIT.bug };
}

export function errorOf({ message, facts, system, ...rest }: WireFault): Error {
  if (facts) return new CardFault(facts);
  return system ? Object.assign(new Error(message), system, { stack: rest.detail }) : new PiimgError(message, rest);
}
