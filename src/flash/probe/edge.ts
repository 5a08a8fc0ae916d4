// Where what a card really has ends.
import { BLOCK, type Range } from '../write/chunks.ts';
import type { Conclusion } from './conclude.ts';
import { periodsOf, placesBetween } from './places.ts';
import { fill, look, mark, requireAlive, type Probing } from './survey.ts';
import type { Wrong } from './types.ts';

/**
 * After how many bytes addresses begin anew, when it is known to be a part of `distance`: all of these are tried at once, the shortest last.
 * What is found at the beginning is of the last one that lands there.
 */
export async function findPeriod(
  probing: Probing,
  { distance, at }: Extract<Conclusion, { state: 'wraps' }>,
  end: number,
): Promise<number> {
  const round = ++probing.round;
  const places = periodsOf(distance).map((period) => blockOf(at + period));
  await mark(
    probing,
    places.filter((place) => place + BLOCK <= end),
    round,
  );
  const { wrong } = await look(probing, [blockOf(at)], round);
  const found = wrong.find(({ offset, length }) => offset <= at && at < offset + length);
  return found?.from === undefined ? distance : found.from + (at - found.offset) - at;
}

const blockOf = (offset: number): number => offset - (offset % BLOCK);

/**
 * Narrows down where it ends to a MiB, by dozens of places at a time: between writing and reading them, the cache of a card that has one
 * is driven out by `run`. Throws Fault when the card fails altogether.
 */
export async function findEdge(
  probing: Probing,
  { lastRight, first, cached }: Extract<Conclusion, { state: 'ends' }>,
  run: Range,
): Promise<{ real: number; firstWrong: Wrong }> {
  let [low, firstWrong] = [lastRight, first];
  for (;;) {
    // What is known to be wrong may begin within a block: that one is not asked again.
    const places = low < 0 ? [] : placesBetween(low, blockOf(firstWrong.offset));
    if (places.length === 0) return { real: low + BLOCK, firstWrong };
    const round = ++probing.round;
    const marked = await mark(probing, places, round);
    if (cached) await fill(probing, run, round);
    const looked = await look(probing, marked.written, round);
    const wrong = [...marked.wrong, ...looked.wrong];
    await requireAlive(probing, wrong);
    for (const one of wrong) if (one.offset < firstWrong.offset) firstWrong = one;
    for (const place of looked.right) if (place < firstWrong.offset) low = Math.max(low, place);
  }
}
