// How the first boot went: for the machine, for whoever reads the card in a laptop, and for whoever wants to be told.
import { readFile } from 'node:fs/promises';
import { overwrite, writeDurably } from './durable.ts';
import type { Paths } from './paths.ts';

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

/** Room on the boot partition (src/seed/minimal.ts), less what JSON adds to the rest. */
const OUTPUT_ON_BOOT = 4000;

/** Writes the result to the machine and to the boot partition. The latter's failure is returned: it must not hide how things went. */
export async function writeResult(result: Result, paths: Paths): Promise<string | undefined> {
  const text = `${JSON.stringify(result, undefined, 2)}\n`;
  // Without secrets: whoever looks after the machine may read it.
  await writeDurably(paths.result, text, { mode: 0o644, uid: 0, gid: 0 });
  return overwrite(paths.resultOnBoot, shortened(result)).then(
    () => undefined,
    (error: unknown) => `the result could not be written to the boot partition: ${(error as Error).message}`,
  );
}

function shortened({ failure, ...result }: Result): string {
  const short = failure && { ...failure, ...(failure.output && { output: failure.output.slice(-OUTPUT_ON_BOOT) }) };
  return `${JSON.stringify({ ...result, ...(short && { failure: short }) })}\n`;
}

/** The last result; undefined when there is none yet. */
export async function readResult(paths: Paths): Promise<Result | undefined> {
  const text = await readFile(paths.result, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Result);
}

/** One line, as it stands on every console. */
export function headline({ status, node, role, steps, seconds, failure }: Result): string {
  const took = `${seconds.toFixed(0)} s`;
  if (status === 'working') return `piimg: ${node} is becoming ${role}`;
  if (status === 'applied') return `piimg: ${node} is ${role}: ${steps.length} steps, ${took}`;
  const step = failure?.step === undefined ? '' : ` in step ${failure.step}`;
  return `piimg: ${node} is NOT ${role}: failed${step}: ${failure?.message ?? 'unknown reason'}`;
}

/** Seconds as they are told: hundredths are enough. */
export const rounded = (seconds: number): number => Math.round(seconds * 100) / 100;
