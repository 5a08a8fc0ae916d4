// A look at all of a card: places everywhere, then a stretch at its end that drives what it only pretends to keep out of its cache.
import type { ProgressUpdate } from '../../lib/progress.ts';
import { BLOCK, type Range } from '../write/chunks.ts';
import type { Survey } from './conclude.ts';
import { Fault } from './fault.ts';
import type { Answer, Ask } from './orders.ts';
import { placesBefore, runOf } from './places.ts';
import type { Wrong } from './types.ts';

/** What the steps of one probe share. */
export interface Probing {
  ask: Ask;
  tell: (update: ProgressUpdate) => void;
  /** The last round that was begun. */
  round: number;
  /** Bytes that were wrong at first. */
  slips: number;
}

export interface Run extends Range {
  round: number;
  written: Answer | undefined;
  read: Answer | undefined;
}

export interface Surveyed extends Survey {
  places: number;
  stretch: Run;
}

/** Looks at the first `end` bytes. Throws Fault when the card fails altogether. */
export async function survey(probing: Probing, end: number): Promise<Surveyed> {
  const round = ++probing.round;
  const range = runOf(end);
  const last = range.offset + range.length - BLOCK;
  const places = [...placesBefore(range), last];
  const failedLast = (wrong: Wrong[]): boolean =>
    wrong.some(({ what, offset, length }) => what === 'error' && offset + length === last + BLOCK);
  const marked = await mark(probing, places, round);
  // Where the end cannot be written or read, it is not tried at length.
  const written = failedLast(marked.wrong) ? undefined : await fill(probing, range, round);
  const looked = await look(probing, marked.written, round);
  const whole = written !== undefined && written.wrong.length === 0 && !failedLast(looked.wrong);
  const read = whole ? await check(probing, range, round) : undefined;
  const wrong = [...marked.wrong, ...(written?.wrong ?? []), ...looked.wrong, ...(read?.wrong ?? [])];
  await requireAlive(probing, wrong);
  const judged = read ?? (written !== undefined && written.wrong.length > 0 ? written : undefined);
  return {
    right: looked.right,
    wrong,
    run: judged && { ...range, wrongBytes: judged.wrongBytes },
    places: places.length,
    stretch: { ...range, round, written, read },
  };
}

/** Writes blocks. */
export async function mark(
  { ask, tell }: Probing,
  places: number[],
  round: number,
): Promise<{ written: number[]; wrong: Wrong[] }> {
  const { tried, wrong } = await ask({ op: 'mark', places, round }, (done, total) =>
    tell({ message: 'writing here and there', done, total }),
  );
  return { written: without(tried, wrong), wrong };
}

/** Reads blocks. */
export async function look(
  probing: Probing,
  places: number[],
  round: number,
): Promise<{ right: number[]; wrong: Wrong[] }> {
  const { tried, wrong, slips } = await probing.ask({ op: 'look', places, round }, (done, total) =>
    probing.tell({ message: 'reading here and there', done, total }),
  );
  probing.slips += slips;
  return { right: without(tried, wrong), wrong };
}

/** Writes a range as a whole. */
export const fill = ({ ask, tell }: Probing, range: Range, round: number): Promise<Answer> =>
  ask({ op: 'fill', range, round }, (done, total) => tell({ message: 'writing', done, total, unit: 'bytes' }));

/** Reads one. */
export async function check(probing: Probing, range: Range, round: number): Promise<Answer> {
  const answer = await probing.ask({ op: 'check', range, round }, (done, total) =>
    probing.tell({ message: 'reading back', done, total, unit: 'bytes' }),
  );
  probing.slips += answer.slips;
  return answer;
}

/** A card that fails somewhere can still be read at its beginning. Throws Fault with the first failure where this one cannot. */
export async function requireAlive({ ask, round }: Pick<Probing, 'ask' | 'round'>, wrong: Wrong[]): Promise<void> {
  const failed = wrong.find(({ what }) => what === 'error');
  if (failed === undefined) return;
  const { wrong: now } = await ask({ op: 'look', places: [0], round });
  if (!now.some(({ what }) => what === 'error')) return;
  throw new Fault({ code: failed.code ?? 'EIO', offset: failed.offset });
}

const without = (places: number[], wrong: Wrong[]): number[] =>
  places.filter((place) => !wrong.some(({ offset, length }) => offset < place + BLOCK && place < offset + length));
