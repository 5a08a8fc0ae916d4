// Where the result of the first boot is kept: on the machine, and on the boot partition for whoever reads the card in a laptop.
import { readFile } from 'node:fs/promises';
import type { Result } from '../src/lib/first-boot.ts';
import { overwrite, writeDurably } from './durable.ts';
import type { Paths } from './paths.ts';

/** Room on the boot partition (src/cli/agent.ts), less what JSON adds to the rest. */
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

/** Seconds as they are told: hundredths are enough. */
export const rounded = (seconds: number): number => Math.round(seconds * 100) / 100;
