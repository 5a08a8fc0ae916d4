// Sends the result to whoever asked for it.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Result } from '../src/lib/first-boot.ts';

/** Milliseconds for one attempt; seconds before each further one: a network that comes up late, a server that restarts. */
const ATTEMPT = 10_000;
const PAUSES = [2, 5, 10, 20, 40];

/** Returns why nobody took it; undefined when somebody did. */
export async function post(result: Result, url: string, pauses: number[] = PAUSES): Promise<string | undefined> {
  for (let attempt = 0; ; attempt++) {
    const reason = await once(result, url);
    const pause = pauses[attempt];
    if (reason === undefined || pause === undefined)
      return reason && `${new URL(url).origin} did not take the result: ${reason}`;
    await sleep(pause * 1000);
  }
}

async function once(result: Result, url: string): Promise<string | undefined> {
  try {
    const { ok, status } = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(result),
      signal: AbortSignal.timeout(ATTEMPT),
    });
    return ok ? undefined : `it answered ${status}`;
  } catch (error) {
    const { message, cause } = error as Error;
    return cause instanceof Error ? `${message} (${cause.message})` : message;
  }
}
