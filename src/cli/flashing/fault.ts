// An error, as what another process can make one of again.
import { EXIT, PiimgError } from '../../lib/errors.ts';
import type { Fault } from '../../flash/write/messages.ts';

export function faultOf(error: unknown): Fault {
  if (error instanceof PiimgError) {
    const { message, hint, detail, exitCode } = error;
    return { message, hint, detail, exitCode };
  }
  return { message: (error as Error).message, detail: (error as Error).stack, exitCode: EXIT.bug };
}

export const errorOf = ({ message, ...rest }: Fault): PiimgError => new PiimgError(message, rest);
