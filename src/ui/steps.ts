// Turns the calls of the stages into a stream of events with parents and times: what every way of showing progress reads.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Progress, ProgressUpdate } from '../lib/progress.ts';

export type StepEvent =
  | { type: 'start'; id: number; parent?: number; title: string }
  | ({ type: 'update'; id: number } & ProgressUpdate)
  | { type: 'note'; id: number; message: string }
  | { type: 'cached'; id: number; reason: string }
  | { type: 'end'; id: number; title: string; seconds: number; ok: boolean; cached?: string; error?: string };

/** Shows events; a step's caller goes on when what was returned for its end has resolved. */
export type Listener = (event: StepEvent) => void | Promise<void>;

/** A finished step that was in no other: a row of the summary. */
export interface Stage {
  title: string;
  seconds: number;
  cached?: string;
}

/** A Progress that tells `listener` everything, and the stages that have ended so far in `stages`. */
export function trackSteps(listener: Listener): { progress: Progress; stages: Stage[] } {
  // Which step a new one is part of is known by where it is awaited, so that stages need not hand it on.
  const current = new AsyncLocalStorage<number>();
  const stages: Stage[] = [];
  let lastId = 0;

  async function step<T>(title: string, work: Parameters<Progress['step']>[1]): Promise<T> {
    const id = ++lastId;
    const parent = current.getStore();
    const started = performance.now();
    let cached: string | undefined;
    let failure: string | undefined;
    const end = async () => {
      const seconds = (performance.now() - started) / 1000;
      const reuse = cached === undefined ? {} : { cached };
      const outcome = failure === undefined ? { ok: true } : { ok: false, error: failure };
      if (parent === undefined && outcome.ok) stages.push({ title, seconds, ...reuse });
      await listener({ type: 'end', id, title, seconds, ...reuse, ...outcome });
    };
    void listener({ type: 'start', id, ...(parent !== undefined && { parent }), title });
    try {
      const result = await current.run(id, () =>
        work({
          update: (update) => void listener({ type: 'update', id, ...update }),
          note: (message) => void listener({ type: 'note', id, message }),
          cached: (reason) => {
            cached = reason;
            void listener({ type: 'cached', id, reason });
          },
          failed: (reason) => (failure = reason),
        }),
      );
      await end();
      return result as T;
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
      await end();
      throw error;
    }
  }
  return { progress: { step }, stages };
}

/** Lets an update through when `interval` milliseconds have passed since the last one of the same step. */
export function throttle(interval: number, now: () => number = () => performance.now()): (id: number) => boolean {
  const last = new Map<number, number>();
  return (id) => {
    const at = now();
    if (at - (last.get(id) ?? -Infinity) < interval) return false;
    last.set(id, at);
    return true;
  };
}
