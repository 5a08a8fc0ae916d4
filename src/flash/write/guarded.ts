// Keeps what goes wrong with one card from the others: a failure, a card that does not answer, Ctrl-C.
import { PiimgError } from '../../lib/errors.ts';
import { within } from '../../lib/within.ts';
import { CardFailure } from './failure.ts';
import type { Life } from './life.ts';

export interface Limits {
  signal: AbortSignal;
  /** Seconds without an answer after which a card counts as dead. */
  silence: number;
}

/** Runs a part of a card's story; false when it failed, now or before: why is noted. Rejects for bugs only. */
export async function guarded(life: Life, { signal, silence }: Limits, work: () => Promise<void>): Promise<boolean> {
  if (life.problem !== undefined) return false;
  const ended = new AbortController();
  const interrupted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { signal: ended.signal });
    const watch = setInterval(() => {
      const seconds = (performance.now() - life.card.lastAnswer()) / 1000;
      if (seconds > silence) reject(new CardFailure({ code: 'silent', op: `${Math.round(seconds)} seconds` }));
    }, 250);
    ended.signal.addEventListener('abort', () => clearInterval(watch));
  });
  try {
    signal.throwIfAborted();
    await Promise.race([work(), interrupted]);
    return true;
  } catch (error) {
    life.card.stop();
    life.problem = problemOf(error, life, signal);
    // Not read back, so it may not boot.
    if (life.state === 'sealed' && !(await isBroken(life))) life.problem.message += MAY_BOOT;
    return false;
  } finally {
    ended.abort();
  }
}

/** Milliseconds that a card has for its last answer. */
export const LAST_ANSWER = 2000;

const STOPPED: Record<Life['state'], string> = {
  compared: 'stopped',
  untouched: 'stopped before it was touched',
  beginning: 'stopped at its very beginning: what was on it is no more to be relied on',
  begun: 'stopped: nothing boots from it as it is',
  sealed: 'stopped: it was not read back to its end',
  done: 'stopped',
};

const MAY_BOOT = ' (its first block could not be taken back: a machine may boot from it all the same)';

const isBroken = async ({ card }: Life): Promise<boolean> =>
  (await within(
    LAST_ANSWER,
    card.order('break').then(() => true),
  ).catch(() => false)) ?? false;

function problemOf(error: unknown, { state }: Life, signal: AbortSignal): NonNullable<Life['problem']> {
  if (signal.aborted) return { message: STOPPED[state], stopped: true };
  if (!(error instanceof PiimgError || error instanceof CardFailure)) throw error;
  const { message, hint } = error;
  return { message: state === 'begun' ? `${message}; nothing boots from it as it is` : message, hint, stopped: false };
}
