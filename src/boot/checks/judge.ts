// From looking at a machine to a line of the check table.
import { type Attempt, type Look, type Patience, retry } from '../retry.ts';
import type { CheckResult } from '../report.ts';

/** What is asked: the columns of the table that are known before. */
export type Question = Pick<CheckResult, 'name' | 'kind' | 'expected'>;

export interface Timing {
  /** Seconds since power-on. */
  elapsed: () => number;
  /** Ends every check: the machine is gone. */
  signal?: AbortSignal;
  /** Told of each result as it is there. */
  onResult?: (result: CheckResult) => void;
}

/** Looks until it is settled. What the machine's end has cut off was not run. */
export async function judge(
  question: Question,
  look: (attempt: Attempt) => Promise<Look>,
  timing: Timing,
  patience: Patience,
): Promise<CheckResult> {
  const { signal } = timing;
  try {
    const { ok, seen, attempts } = await retry(look, { ...patience, ...(signal && { signal }) });
    return settle(question, timing, { status: ok ? 'passed' : 'failed', seen, attempts });
  } catch (error) {
    if (!signal?.aborted) throw error;
    return notRun(question, timing, 'the machine was gone');
  }
}

/** A check that could not be made here, and why. */
export function notRun(question: Question, timing: Timing, why: string): CheckResult {
  return settle(question, timing, { status: 'not run', seen: why, attempts: 0 });
}

function settle(
  question: Question,
  { elapsed, onResult }: Timing,
  found: Pick<CheckResult, 'status' | 'seen' | 'attempts'>,
): CheckResult {
  const result = { ...question, ...found, at: elapsed() };
  onResult?.(result);
  return result;
}
