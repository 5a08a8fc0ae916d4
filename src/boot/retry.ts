// Looking again until it is so: the one loop behind every check of a booted machine.
import { setTimeout as sleep } from 'node:timers/promises';
import { PiimgError } from '../lib/errors.ts';

/** What one look at the machine has shown. */
export interface Look {
  ok: boolean;
  /** In words, for the report: `HTTP 200`, `connection refused`. */
  seen: string;
  /** It cannot become better: looking again is in vain. */
  final?: boolean;
}

/** The time one look may take: as seconds for what the machine runs, as a signal for what runs here. */
export interface Attempt {
  seconds: number;
  signal: AbortSignal;
}

export interface Patience {
  /** Seconds until the last look begins. */
  within: number;
  /** They count from when this settles, from now without it. */
  from?: Promise<unknown>;
  /** Seconds between two looks; 1 by default. */
  pause?: number;
  /** Ends it at once: the machine is gone. */
  signal?: AbortSignal;
}

/** Seconds that even the last look gets: a login or a page takes several on an emulated Pi. */
const LEAST = 20;

/**
 * Looks until it is ok, cannot become so, or the time is over. What a look throws is what it has seen. Rejects with the
 * signal's reason only.
 */
export async function retry(
  look: (attempt: Attempt) => Promise<Look>,
  { within, from = Promise.resolve(), pause = 1, signal }: Patience,
): Promise<Look & { attempts: number }> {
  let deadline = Infinity;
  const count = (): void => void (deadline = performance.now() + within * 1000);
  from.then(count, count);
  for (let attempts = 1; ; attempts++) {
    signal?.throwIfAborted();
    const left = Math.min(within, (deadline - performance.now()) / 1000);
    const seconds = Math.ceil(Math.max(left, LEAST));
    const timeout = AbortSignal.timeout(seconds * 1000);
    const attempt = { seconds, signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]) };
    const found = await look(attempt).catch((error: unknown) => ({ ok: false, final: false, seen: wordsOf(error) }));
    signal?.throwIfAborted();
    if (found.ok || found.final || performance.now() >= deadline) return { ...found, attempts };
    await sleep(pause * 1000, undefined, { ...(signal && { signal }) }).catch(() => {});
  }
}

/** What an error says, for a report. The last line says what ssh and the like found; the message before it is the command. */
export function wordsOf(error: unknown): string {
  if (error instanceof PiimgError) return error.detail?.trimEnd().split('\n').at(-1) ?? error.message;
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return 'no answer';
  // Node's connection errors to several addresses have no message.
  return error.message || (error as NodeJS.ErrnoException).code || error.name;
}
