// The story: read what the machine is to be, work everything out, make it so step by step, say how it went.
import { readFile } from 'node:fs/promises';
import type { NodeDocument } from '../src/seed/document.ts';
import { light } from './announce.ts';
import { applyAll } from './apply.ts';
import { mendSlots } from './blank.ts';
import { masked, secretValues, templateData } from './data.ts';
import { readDocument, readRole, type Given, type Role } from './document.ts';
import { removeDurably, removeParts, writeDurably } from './durable.ts';
import { openJournal } from './journal.ts';
import { prepare, type Prepared } from './kinds.ts';
import type { Machine } from './machine.ts';
import { Busy, takeLock, type Release } from './lock.ts';
import type { Paths } from './paths.ts';
import { asProblem, Problem } from './problem.ts';
import type { Failure, Result } from '../src/lib/first-boot.ts';
import { keeper, readResult, rounded, writeResult } from './result.ts';
import type { Knowledge } from './step.ts';
import { tell } from './tell.ts';

/** Where lines for the journal go; `level` as in syslog(3): 3 error, 4 warning, 6 information. */
export type Log = (level: 3 | 4 | 6, line: string) => void;

/**
 * Makes the machine its role, or says why it is not: never throws. What is already so stays; what was cut is taken up again. Everything
 * is written below `paths.root`.
 */
export async function firstBoot(paths: Paths, machine: Machine, log: Log): Promise<Result> {
  // `performance` is a module of its own to load, which a Pi feels.
  const begun = process.uptime();
  const result = await newResult(paths, machine);
  let secrets: string[] = [];
  let given: Given | undefined;
  const mask = (text: string): string => masked(text, secrets);
  const say: Log = (level, line) => log(level, mask(line));
  let release: Release | undefined;
  try {
    release = await takeLock(paths);
    await light('working', paths.root);
    const journal = await openJournal(paths);
    await keeper(result, paths)();
    await removeParts(paths.state);
    // The machine is on its way to something else: should that fail, what it was is no longer known to be so.
    await removeDurably(paths.seen);
    await mendSlots(paths);
    const role = await readRole(paths);
    given = await readDocument(paths);
    const { document } = given;
    secrets = secretValues(document);
    result.node = document.node ?? result.node;
    result.buildId = document.buildId;
    refuseOtherRole(document, role);
    await keepSecrets(document, paths);
    const knowledge = { paths, document, data: templateData(document, role, result.node) };
    const steps = await prepareAll(role, knowledge);
    result.steps = steps.map(({ name, kind }) => ({ name, kind, state: 'waiting' }));
    const [fault] = await writeResult(result, paths);
    if (fault !== undefined) throw new Problem(fault);
    await applyAll(steps, { machine, journal, result, keep: keeper(result, paths), say, mask });
    result.status = 'applied';
  } catch (error) {
    result.status = 'failed';
    result.failure = failureOf(error, secrets);
    if (error instanceof Busy) {
      log(4, `${error.message} ${error.hint ?? ''}`);
      return result;
    }
  }
  result.finished = new Date().toISOString();
  result.seconds = rounded(process.uptime() - begun);
  result.peakMemory = process.resourceUsage().maxRSS * 1024;
  await tell(result, { paths, given, say, mask });
  await release?.();
  return result;
}

/** As much as is known before the agent has done anything: it may be all that is ever told. */
async function newResult(paths: Paths, machine: Machine): Promise<Result> {
  const role = await readRole(paths).catch(() => undefined);
  return {
    version: 1,
    status: 'working',
    node: (await readFile(machine.at('etc/hostname'), 'utf8').catch(() => '')).trim() || 'this machine',
    role: role?.role ?? 'unknown',
    buildId: '',
    started: new Date().toISOString(),
    seconds: 0,
    steps: [],
    notes: [],
  };
}

/** Tells, where all else is told, that an agent was killed at its work. `how`: $SERVICE_RESULT of systemd.exec(5). */
export async function agentEnded(paths: Paths, machine: Machine, how: string, log: Log): Promise<void> {
  const result = (await readResult(paths)) ?? (await newResult(paths, machine));
  if (result.status !== 'working') return;
  const given = await readDocument(paths).catch(() => undefined);
  const secrets = given ? secretValues(given.document) : [];
  const mask = (text: string): string => masked(text, secrets);
  const failure = { message: `The agent was killed before it was done (${how}).`, hint: KILLED[how] ?? RETRY };
  const failed: Result = { ...result, status: 'failed', finished: new Date().toISOString(), failure };
  await tell(failed, { paths, given, say: (level, line) => log(level, mask(line)), mask });
}

const SHORT = 'let a step set up swap first. Then: sudo piimg-firstboot retry';
const KILLED: Record<string, string> = {
  'oom-kill': `The machine had too little memory for it: ${SHORT}`,
  // The Pi's kernels count no memory by group, so that systemd does not know why.
  signal: `If nobody ended it, memory was short: see dmesg; ${SHORT}`,
};

function refuseOtherRole({ role: wanted }: NodeDocument, { role }: Role): void {
  if (wanted === undefined || wanted === role) return;
  throw new Problem(`The node document is for role ${wanted}; this image is ${role}.`, {
    hint: 'Make the seed with the image that is on this card: piimg seed --in-place',
  });
}

/** Before anything is blanked, and apart from everything that others may read. */
async function keepSecrets({ secrets }: NodeDocument, paths: Paths): Promise<void> {
  if (Object.keys(secrets).length > 0) await writeDurably(paths.secrets, JSON.stringify(secrets));
}

/** All of them, so that one that cannot work keeps the others from half making a machine. */
async function prepareAll({ provision }: Role, knowledge: Knowledge): Promise<Prepared[]> {
  const steps: Prepared[] = [];
  for (const step of provision) {
    try {
      steps.push(await prepare(step, knowledge));
    } catch (error) {
      throw Object.assign(asProblem(error), { step: step.name });
    }
  }
  return steps;
}

const RETRY = 'See what it printed: piimg-firstboot log. When the cause is mended: sudo piimg-firstboot retry';

function failureOf(error: unknown, secrets: string[]): Failure {
  const { step } = error as { step?: string };
  const { message, output, hint = step && RETRY } = asProblem(error);
  return {
    ...(step !== undefined && { step }),
    message: masked(message, secrets),
    ...(hint !== undefined && { hint: masked(hint, secrets) }),
    ...(output && { output: masked(output, secrets) }),
  };
}
