// Where the result of the first boot is kept: on the machine, and on the boot partition for whoever reads the card in a laptop.
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Result } from '../src/lib/first-boot.ts';
import { inTurn, overwrite, OWN, writeDurably } from './durable.ts';
import type { Paths } from './paths.ts';
import { asProblem, Problem } from './problem.ts';

/** Bytes on the boot partition (src/cli/agent.ts). */
const ROOM = 16 * 1024;

/** Without secrets: whoever looks after the machine may read it. */
const keep = (result: Result, { result: file }: Paths): Promise<void> =>
  writeDurably(file, `${JSON.stringify(result, undefined, 2)}\n`, { mode: 0o644, ...OWN });

/** Keeps the result on the machine alone, for who asks while it is at work; that this fails is told in the end. */
export function keeper(result: Result, paths: Paths): () => Promise<void> {
  const turn = inTurn();
  return () => turn(() => keep(result, paths)).catch(() => {});
}

/** Writes the result to the machine and to the boot partition, each whatever becomes of the other. Returns what went wrong. */
export async function writeResult(result: Result, paths: Paths): Promise<string[]> {
  const [kept, shown] = await Promise.allSettled([keep(result, paths), showOnBoot(shortened(result), paths)]);
  const fault = ({ reason }: PromiseRejectedResult): string => asProblem(reason).message;
  return [
    ...(kept.status === 'rejected' ? [`the result could not be kept: ${fault(kept)}`] : []),
    ...(shown.status === 'rejected' ? [`the result could not be written to the boot partition: ${fault(shown)}`] : []),
  ];
}

async function showOnBoot(text: string, { resultOnBoot }: Paths): Promise<void> {
  const folder = path.dirname(resultOnBoot);
  // What is written into the empty folder below a mount that failed, nobody ever finds.
  if ((await readdir(folder)).length === 0) throw new Problem(`it is not mounted on ${folder}`);
  await overwrite(resultOnBoot, text, ROOM);
}

/** As much as there is room for: output goes first, from its beginning, then steps that went well. */
export function shortened(result: Result, room = ROOM): string {
  const { failure, steps } = result;
  const texts = [
    result,
    { ...result, ...(failure && { failure: { ...failure, output: (failure.output ?? '').slice(-1500) } }) },
    {
      ...result,
      ...(failure && { failure: { ...failure, message: failure.message.slice(0, 500), output: '' } }),
      steps: steps.filter(({ state }) => state === 'failed' || state === 'started').slice(0, 20),
      notes: result.notes.map((note) => note.slice(0, 200)).slice(0, 10),
    },
  ].map((each) => `${JSON.stringify(each)}\n`);
  return texts.find((text) => Buffer.byteLength(text) <= room) ?? texts.at(-1) ?? '';
}

/** The last result; undefined when there is none yet. */
export async function readResult(paths: Paths): Promise<Result | undefined> {
  const text = await readFile(paths.result, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Result);
}

/** Seconds as they are told: hundredths are enough. */
export const rounded = (seconds: number): number => Math.round(seconds * 100) / 100;
