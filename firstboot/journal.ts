// What the agent remembers of each step across boots and power cuts.
import { readFile } from 'node:fs/promises';
import { inTurn, makeFolder, writeDurably } from './durable.ts';
import type { Paths } from './paths.ts';

export interface StepRecord {
  /** Of what was done, and of the steps it came after: with another digest it is another step. */
  digest: string;
  state: 'started' | 'applied' | 'failed' | 'outdated';
  /** What the step itself wanted to remember. */
  memory?: string;
}

export interface Journal {
  get(step: string): StepRecord | undefined;
  /** Is on the card when it resolves. `outdated`: steps that are no longer known to be applied, as one before them changes something. */
  record(step: string, change: Partial<StepRecord>, outdated?: string[]): Promise<void>;
}

/** A journal that is not there, or that nobody can read, is an empty one: every step then looks for itself what is to be done. */
export async function openJournal(paths: Paths): Promise<Journal> {
  await makeFolder(paths.state);
  const text = await readFile(paths.journal, 'utf8').catch(() => '');
  const steps = new Map(Object.entries(parsed(text)));
  // Steps run side by side.
  const writing = inTurn();
  return {
    get: (step) => steps.get(step),
    record(step, change, outdated = []) {
      for (const name of outdated) {
        const known = steps.get(name);
        if (known?.state === 'applied') steps.set(name, { ...known, state: 'outdated' });
      }
      steps.set(step, { digest: '', state: 'started', ...steps.get(step), ...change });
      const content = `${JSON.stringify({ version: 1, steps: Object.fromEntries(steps) })}\n`;
      return writing(() => writeDurably(paths.journal, content));
    },
  };
}

function parsed(text: string): Record<string, StepRecord> {
  try {
    return (JSON.parse(text) as { steps: Record<string, StepRecord> }).steps;
  } catch {
    return {};
  }
}
