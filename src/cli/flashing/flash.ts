// The story of `piimg flash`: image → cards → identities → consent → written and read back → ledger.
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Source } from '../../flash/source/source.ts';
import type { FlashedCard, FlashEvent, Patch } from '../../flash/write/types.ts';
import type { Progress, Step } from '../../lib/progress.ts';
import type { Context } from '../context.ts';
import { writeWhereAllowed } from './as-root.ts';
import type { FlashImage } from './image.ts';
import { keepNotes, type Keeper } from './resume.ts';
import type { Target } from './targets.ts';
import type { WriterCard, WriterPlan } from './writer.ts';

/** A card with all that is known of it before a byte is written. */
export interface ReadyCard {
  /** A disk, or the file that is to be written. */
  target: Target | undefined;
  file: string | undefined;
  node: string | undefined;
  cardId: string | undefined;
  patches: Patch[];
  resumeFrom: number;
}

export const nameOf = ({ target, file }: ReadyCard): string => target?.device.path ?? file ?? '';

export interface Flashed extends FlashedCard {
  card: ReadyCard;
  notes: string[];
}

/** Writes them, with a step of `context.progress` for each, and notes how far each is. */
export async function flashCards(
  image: FlashImage,
  cards: ReadyCard[],
  { mode, wipe }: Pick<WriterPlan, 'mode' | 'wipe'>,
  context: Context,
): Promise<Flashed[]> {
  const { progress, signal, cacheDir } = context;
  const { source, ranges, size, least } = image;
  const writerCards = cards.map((card) => ({
    name: nameOf(card),
    ...(card.target === undefined ? { file: card.file ?? '' } : { disk: card.target.identity }),
    patches: card.patches,
    resumeFrom: card.resumeFrom,
  }));
  const keepers = new Map<string, Keeper>();
  for (const card of cards)
    if (card.target !== undefined && mode !== 'verify')
      keepers.set(nameOf(card), keepNotes(cacheDir, card.target, image));
  const plan: WriterPlan = { source, ranges, size, least, mode, wipe, discard: !wipe, cards: writerCards };
  const titles = new Map(
    cards.map((card) => [nameOf(card), card.node === undefined ? nameOf(card) : `${card.node} on ${nameOf(card)}`]),
  );
  const notes = new Map<string, string[]>(cards.map((card) => [nameOf(card), []]));
  const flashed = await showing(titles, progress, (show) =>
    writeWhereAllowed(
      plan,
      (name, event) => {
        show(name, event);
        if (event.type === 'note') notes.get(name)?.push(event.message);
        else if (event.phase === 'writing') keepers.get(name)?.keep(event.upTo);
      },
      signal,
    ),
  );
  for (const { name, problem } of flashed) await keepers.get(name)?.end(problem === undefined);
  return flashed.map((one, index) => ({ ...one, card: cards[index] as ReadyCard, notes: notes.get(one.name) ?? [] }));
}

/** Compares cards with an image; nothing is written. */
export function compareCards(
  { source, ranges, size, least }: FlashImage,
  cards: WriterCard[],
  { progress, signal }: Context,
): Promise<FlashedCard[]> {
  const plan: WriterPlan = { source, ranges, size, least, mode: 'verify', wipe: false, discard: false, cards };
  return showing(new Map(cards.map(({ name }) => [name, name])), progress, (show) =>
    writeWhereAllowed(plan, show, signal),
  );
}

/** Runs `work` with an open step for each card, by its name. */
async function showing(
  titles: Map<string, string>,
  progress: Progress,
  work: (show: (name: string, event: FlashEvent) => void) => Promise<FlashedCard[]>,
): Promise<FlashedCard[]> {
  const steps = new Map<string, Step>();
  let settle = (): void => {};
  const settled = new Promise<void>((resolve) => (settle = resolve));
  const open = [...titles].map(([name, title]) =>
    progress.step(title, async (step) => {
      steps.set(name, step);
      await settled;
    }),
  );
  try {
    const flashed = await work((name, event) => {
      if (event.type === 'note') steps.get(name)?.note(event.message);
      else {
        const { phase, done, total } = event;
        steps.get(name)?.update({ message: phase, done, ...(total !== undefined && { total }), unit: 'bytes' });
      }
    });
    for (const { name, problem } of flashed) if (problem !== undefined) steps.get(name)?.failed(problem);
    return flashed;
  } finally {
    settle();
    await Promise.all(open);
  }
}

/** Seconds since a file was changed last; undefined for what is no file. */
export async function ageOf({ kind, name }: Source): Promise<number | undefined> {
  if (kind !== 'file') return undefined;
  const info = await stat(path.resolve(name)).catch(() => undefined);
  return info === undefined ? undefined : Math.max(0, (Date.now() - info.mtimeMs) / 1000);
}
