// Applies steps: each is looked at first, made so, looked at again, and every turn of it written down.
import { digestOf } from '../src/lib/digest.ts';
import { settled } from '../src/lib/settled.ts';
import type { Log } from './firstboot.ts';
import type { Journal } from './journal.ts';
import type { Prepared } from './kinds.ts';
import { telling, type Machine } from './machine.ts';
import { inOrder } from './order.ts';
import { asProblem, Problem } from './problem.ts';
import type { Result, StepResult } from '../src/lib/first-boot.ts';
import { rounded } from './result.ts';
import type { StepContext } from './step.ts';

interface Work {
  machine: Machine;
  journal: Journal;
  result: Result;
  /** Writes down how far it has come, for who asks. */
  keep: () => Promise<void>;
  say: Log;
  /** Takes secrets out of a text. */
  mask: (text: string) => string;
}

/** Throws the first step's failure, with the step's name as `step`. */
export async function applyAll(steps: Prepared[], work: Work): Promise<void> {
  const digests = digestsOf(steps);
  const turn: Turn = { ...work, outdatedBy: (name) => dependentsOf(name, steps) };
  await inOrder(steps, async (step) => {
    const entry = work.result.steps.find(({ name }) => name === step.name);
    if (!entry) return;
    const begun = process.uptime();
    try {
      entry.state = await applyOne(step, digests.get(step.name) ?? '', entry, turn);
      entry.seconds = rounded(process.uptime() - begun);
      work.say(6, `step ${step.name}: ${entry.state === 'applied' ? `finished in ${entry.seconds} s` : 'already so'}`);
    } catch (error) {
      // Of a look that failed nothing is half done.
      const wasAtWork = entry.state === 'started';
      entry.state = 'failed';
      entry.seconds = rounded(process.uptime() - begun);
      const { message, output } = asProblem(error);
      work.say(3, `step ${step.name}: failed after ${entry.seconds} s: ${message}`);
      for (const line of output === undefined ? [] : work.mask(output).split('\n'))
        work.say(3, `step ${step.name}: | ${line}`);
      // A card that takes no more must not hide why.
      if (wasAtWork) await work.journal.record(step.name, { state: 'failed' }).catch(() => {});
      throw Object.assign(asProblem(error), { step: step.name });
    }
  });
}

interface Turn extends Work {
  /** Steps that come after this one, however far. */
  outdatedBy: (name: string) => string[];
}

function dependentsOf(name: string, steps: Prepared[]): string[] {
  const found = new Set<string>();
  const visit = (before: string): void => {
    for (const step of steps) {
      if (!step.after.includes(before) || found.has(step.name)) continue;
      found.add(step.name);
      visit(step.name);
    }
  };
  visit(name);
  return [...found];
}

async function applyOne(
  step: Prepared,
  digest: string,
  entry: StepResult,
  { machine, journal, keep, say, mask, outdatedBy }: Turn,
): Promise<'applied' | 'unchanged'> {
  const known = journal.get(step.name);
  const context: StepContext = {
    machine,
    applied: known?.digest === digest && known.state === 'applied',
    interrupted: known?.state === 'started' || known?.state === 'failed',
    memory: {
      get: () => journal.get(step.name)?.memory,
      set: (memory) => journal.record(step.name, { memory }),
    },
  };
  const lack = await step.check(context);
  if (lack === undefined) {
    if (!context.applied) await journal.record(step.name, { digest, state: 'applied' });
    return 'unchanged';
  }
  entry.state = 'started';
  say(6, `step ${step.name}: started (${step.kind}): ${lack}`);
  await settled([journal.record(step.name, { digest, state: 'started' }, outdatedBy(step.name)), keep()]);
  await step.apply({ ...context, machine: telling(machine, (line) => say(6, `step ${step.name}: ${line}`), mask) });
  const still = await step.verify(context);
  if (still !== undefined) {
    throw new Problem(`it was applied, but ${still}`, { hint: 'Is something else changing the same thing?' });
  }
  // What programs have written may still be in memory alone, when the note would already be on the card.
  if (!step.flushes) await machine.run(['sync']);
  await journal.record(step.name, { digest, state: 'applied' });
  return 'applied';
}

/** A step that comes after one that changed is another step too: a restart has to follow a new configuration. */
export function digestsOf(steps: Pick<Prepared, 'name' | 'kind' | 'after' | 'content'>[]): Map<string, string> {
  const digests = new Map<string, string>();
  const of = (name: string, above: string[]): string => {
    const step = steps.find((each) => each.name === name);
    // Circles are the order's to refuse.
    if (!step || above.includes(name)) return '';
    const { kind, content, after } = step;
    const digest =
      digests.get(name) ?? digestOf({ kind, content, after: after.map((each) => of(each, [...above, name])) });
    digests.set(name, digest);
    return digest;
  };
  for (const { name } of steps) of(name, []);
  return digests;
}
