// A limit on waiting for what may never come.
import { setTimeout as sleep } from 'node:timers/promises';

/** What `work` comes to; undefined when that takes longer than so many milliseconds. Rejects as `work` does in that time. */
export async function within<T>(milliseconds: number, work: Promise<T>): Promise<T | undefined> {
  const over = new AbortController();
  const limit = sleep(milliseconds, undefined, { signal: over.signal }).catch(() => undefined);
  try {
    return await Promise.race([work, limit]);
  } finally {
    // A timer would keep the program from ending.
    over.abort();
  }
}
