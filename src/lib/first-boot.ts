// How a first boot went: what the agent writes down, and the words for it on the machine, in a laptop and in a report.

export interface StepResult {
  name: string;
  kind: string;
  /** `unchanged`: it was already so. `waiting`: not yet, or never, as another one failed. */
  state: 'waiting' | 'started' | 'unchanged' | 'applied' | 'failed';
  seconds?: number;
}

export interface Failure {
  step?: string;
  message: string;
  hint?: string;
  /** What a program said last. */
  output?: string;
}

export interface Result {
  version: 1;
  status: 'working' | 'applied' | 'failed';
  node: string;
  role: string;
  buildId: string;
  /** By the machine's clock, which may be wrong; `seconds` is not. */
  started: string;
  finished?: string;
  seconds: number;
  steps: StepResult[];
  failure?: Failure;
  /** The agent's own, at its peak, in bytes. */
  peakMemory?: number;
  /** What went wrong without keeping the machine from its role. */
  notes: string[];
}

/** One line, as it stands on every console. */
export function headline({ status, node, role, steps, seconds, failure }: Result): string {
  const took = `${seconds.toFixed(0)} s`;
  if (status === 'working') return `piimg: ${node} is becoming ${role}`;
  if (status === 'applied') return `piimg: ${node} is ${role}: ${steps.length} steps, ${took}`;
  const step = failure?.step === undefined ? '' : ` in step ${failure.step}`;
  return `piimg: ${node} is NOT ${role}: failed${step}: ${failure?.message ?? 'unknown reason'}`;
}

/** The headline, every step, and what to do. */
export function describeResult(result: Result): string {
  const rows = result.steps.map(({ name, kind, state, seconds }) => {
    return `  ${state.padEnd(9)}  ${name} (${kind})${seconds === undefined ? '' : `  ${seconds} s`}`;
  });
  const { failure, notes } = result;
  const told = [failure?.output?.replaceAll(/^/gm, '  | '), failure?.hint, ...notes.map((note) => `note: ${note}`)];
  return [headline(result), ...rows, ...told.filter((line) => line !== undefined)].join('\n');
}
