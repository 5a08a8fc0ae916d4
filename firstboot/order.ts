// In which order steps run: each after those it names, the others side by side.
import { Problem } from './problem.ts';

export interface Ordered {
  name: string;
  after: string[];
  shares: string | undefined;
}

/** As many as the smallest Pi has processors, but one. */
const SIDE_BY_SIDE = 3;

/**
 * Runs every step once those of its `after` have ended well; of steps that share something one at a time. After a failure no step is
 * started any more; those under way are waited for, then the first failure is thrown.
 */
export async function inOrder<Step extends Ordered>(steps: Step[], run: (step: Step) => Promise<void>): Promise<void> {
  const waiting = new Set(steps);
  const running = new Map<Step, Promise<void>>();
  const ended = new Set<string>();
  const failures: unknown[] = [];
  const mayStart = (step: Step): boolean =>
    running.size < SIDE_BY_SIDE &&
    step.after.every((name) => ended.has(name)) &&
    (step.shares === undefined || ![...running.keys()].some(({ shares }) => shares === step.shares));
  const start = async (step: Step): Promise<void> => {
    try {
      await run(step);
      ended.add(step.name);
    } catch (error) {
      failures.push(error);
    } finally {
      running.delete(step);
    }
  };
  while (waiting.size > 0 && failures.length === 0) {
    for (const step of waiting) {
      if (!mayStart(step)) continue;
      waiting.delete(step);
      running.set(step, start(step));
    }
    if (running.size === 0) {
      const names = [...waiting].map(({ name }) => name).join(', ');
      throw new Problem(`Steps wait for one another, or for steps that are not there: ${names}`, {
        hint: 'Build the image again: its role is not what piimg has checked.',
      });
    }
    await Promise.race(running.values());
  }
  await Promise.all(running.values());
  if (failures.length > 0) throw failures[0];
}
