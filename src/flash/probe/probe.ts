// The story of a probe: capacity → speed → every block, where that is wanted → emptied.
import type { Progress, Step } from '../../lib/progress.ts';
import { overlap } from '../write/chunks.ts';
import { findCapacity, type Capacity } from './capacity.ts';
import { Fault } from './fault.ts';
import type { Ask } from './orders.ts';
import { GRAIN, wholeBlocksOf } from './places.ts';
import { measureSpeed } from './speed.ts';
import { requireAlive, type Probing } from './survey.ts';
import type { EveryBlock, ProbeResult, Wrong } from './types.ts';

export interface ProbeJob {
  name: string;
  /** Bytes it says it has. */
  size: number;
  /** Write and read every block it has. */
  full: boolean;
}

/** What a card really is, asked of a thread that has it open. All that is on it is lost. Rejects for bugs, and when `ask` does. */
export async function probeThrough(
  ask: Ask,
  { name, size, full }: ProbeJob,
  progress: Progress,
  seconds?: number,
): Promise<ProbeResult> {
  const probing: Probing = { ask, tell: () => {}, round: 0, slips: 0 };
  const result: ProbeResult = { verdict: 'failed', size, places: 0, bad: [], slips: 0, emptied: false };
  const during = <T>(title: string, work: (step: Step) => Promise<T>): Promise<T> =>
    progress.step(`${title} of ${name}`, (step) => {
      probing.tell = (update) => step.update(update);
      return work(step);
    });
  try {
    const capacity = await during('capacity', async (step) => {
      const found = await findCapacity(probing, size);
      Object.assign(result, verdictOf(found, size));
      if (result.verdict !== 'good') step.failed(`it is ${result.verdict}`);
      return found;
    });
    if (result.verdict === 'good') {
      const measured = await during('speed', () => measureSpeed(probing, capacity.stretch, seconds));
      if (measured !== undefined) result.speed = measured.speed;
      note(result, measured?.wrong ?? []);
    }
    // Of a card that keeps nothing, no block is worth a try.
    if (full && (result.kind === undefined || capacity.real > 0)) {
      const end = result.kind === undefined ? size : capacity.real;
      const { wrong, ...everyBlock } = await during('every block', async (step) => {
        const tried = await tryEveryBlock(probing, end);
        if (tried.wrong.length > 0) step.failed('some are bad');
        return tried;
      });
      result.everyBlock = everyBlock;
      note(result, wrong);
    }
    result.emptied = await empty(ask, size, result.verdict === 'fake');
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    result.verdict = 'failed';
    result.problem = error.message;
  }
  result.slips = probing.slips;
  return result;
}

function verdictOf({ real, kind, firstWrong, bad, places }: Capacity, size: number): Partial<ProbeResult> {
  if (firstWrong === undefined) return { verdict: 'good', real, places };
  // Nobody lies about a MiB: that is a bad block at the end.
  if (kind === undefined || (kind !== 'wraps' && size - real <= GRAIN))
    return { verdict: 'damaged', real, places, firstWrong, bad: bad.length > 0 ? bad : [firstWrong] };
  return { verdict: real === 0 ? 'damaged' : 'fake', real, places, kind, firstWrong };
}

/** Bad ranges in what there is. */
function note(result: ProbeResult, wrong: Wrong[]): void {
  const [first] = wrong;
  if (first === undefined) return;
  result.bad = wrong;
  if (result.verdict !== 'fake') result.verdict = 'damaged';
  result.firstWrong ??= first;
}

async function tryEveryBlock(probing: Probing, size: number): Promise<EveryBlock & { wrong: Wrong[] }> {
  const { ask, tell } = probing;
  const range = { offset: 0, length: wholeBlocksOf(size) };
  const round = ++probing.round;
  const show = (message: string, before: number) => (done: number) =>
    tell({ message, done: before + done, total: 2 * range.length, unit: 'bytes' });
  const written = await ask({ op: 'fill', range, round }, show('writing', 0));
  await requireAlive(probing, written.wrong);
  const read = await ask({ op: 'check', range, round }, show('reading back', range.length));
  await requireAlive(probing, read.wrong);
  probing.slips += read.slips;
  // What could not be written is not read as it should be either: once is enough.
  const wrong = [...written.wrong, ...read.wrong.filter((one) => !written.wrong.some((other) => overlap(one, other)))];
  return {
    wrong,
    bytes: range.length,
    wrongBytes: Math.max(written.wrongBytes, read.wrongBytes),
    writing: written.seconds,
    reading: read.seconds,
  };
}

/** Zeroes where partition tables are looked for; of a fake, its end may not be there. */
async function empty(ask: Ask, size: number, fake: boolean): Promise<boolean> {
  const length = Math.min(GRAIN, wholeBlocksOf(size));
  let all = true;
  for (const offset of [0, wholeBlocksOf(size) - length]) {
    const { wrong } = await ask({ op: 'zero', range: { offset, length }, round: 0 });
    all &&= wrong.length === 0 || (fake && offset > 0);
  }
  return all;
}
