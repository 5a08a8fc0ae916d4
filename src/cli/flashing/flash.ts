// The story of `piimg flash`: image → cards → identities → consent → written and read back → ledger.
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { CardRecord } from '../../flash/card-record.ts';
import type { Source } from '../../flash/source/source.ts';
import { readBySeveral } from '../../flash/source/spool.ts';
import type { FlashedCard, FlashEvent, Patch } from '../../flash/write/types.ts';
import type { Progress, Step } from '../../lib/progress.ts';
import type { Context } from '../context.ts';
import type { FlashImage } from './image.ts';
import type { Opener } from './opener.ts';
import { keepNotes, type Keeper } from './resume.ts';
import type { Target } from './targets.ts';
import type { WriterCard, WriterPlan } from './writer.ts';

/** A card with all that is known of it before a byte is written. */
export interface ReadyCard {
  /** A disk, or the file that is to be written. */
  target: Target | undefined;
  /** What piimg wrote to it before, where it can be told. */
  was?: CardRecord | undefined;
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

/**
 * Writes them, with a step of `context.progress` for each, and notes how far each is. `ended` hears of each as soon as nothing more is
 * done to it.
 */
export async function flashCards(
  image: FlashImage,
  cards: ReadyCard[],
  { mode, wipe }: Pick<WriterPlan, 'mode' | 'wipe'>,
  { progress, cacheDir, opener }: Pick<Context, 'progress' | 'cacheDir'> & { opener: Opener },
  ended: (flashed: Flashed) => void,
): Promise<Flashed[]> {
  const { source, ranges, size, least, reach: about } = image;
  const writerCards = cards.map((card) => ({
    name: nameOf(card),
    ...(card.target === undefined ? { file: card.file ?? '' } : { disk: card.target.identity }),
    patches: card.patches,
    resumeFrom: card.resumeFrom,
  }));
  const plan: WriterPlan = { source, ranges, size, least, about, mode, wipe, discard: !wipe, cards: writerCards };
  const kept = new Map(
    cards.map((card): [string, { card: ReadyCard; notes: string[]; keeper?: Keeper }] => {
      const { target, patches, resumeFrom } = card;
      const keeper =
        target && mode !== 'verify' ? keepNotes(cacheDir, image, { target, patches, resumeFrom }) : undefined;
      return [nameOf(card), { card, notes: [], ...(keeper && { keeper }) }];
    }),
  );
  const whole = (flashed: FlashedCard): Flashed => {
    const { card, notes } = kept.get(flashed.name) as { card: ReadyCard; notes: string[] };
    return { ...flashed, card, notes };
  };
  const titles = new Map(
    cards.map((card) => [nameOf(card), card.node === undefined ? nameOf(card) : `${card.node} on ${nameOf(card)}`]),
  );
  const folder = path.join(cacheDir, 'tmp');
  const flashed = await showing(titles, progress, (show) =>
    readBySeveral(source, { readers: cards.length, folder }, (from) =>
      opener.write({ ...plan, source: from }, (name, event) => {
        show(name, event);
        const { notes, keeper } = kept.get(name) ?? {};
        if (event.type === 'note') notes?.push(event.message);
        else if (event.type === 'ended') ended(whole(event.flashed));
        else if (event.phase === 'writing') keeper?.keep(event.upTo);
      }),
    ),
  );
  for (const { name, problem } of flashed) await kept.get(name)?.keeper?.end(problem === undefined);
  return flashed.map(whole);
}

/** Compares cards with an image; nothing is written. */
export async function compareCards(
  { source, ranges, size, least }: FlashImage,
  cards: WriterCard[],
  progress: Progress,
  opener: Opener,
): Promise<FlashedCard[]> {
  const plan: WriterPlan = { source, ranges, size, least, mode: 'verify', wipe: false, discard: false, cards };
  return showing(new Map(cards.map(({ name }) => [name, name])), progress, (show) => opener.write(plan, show));
}

/** Runs `work` with a step for each card, by its name, which ends with it. */
async function showing(
  titles: Map<string, string>,
  progress: Progress,
  work: (show: (name: string, event: FlashEvent) => void) => Promise<FlashedCard[]>,
): Promise<FlashedCard[]> {
  const steps = new Map<string, { step: Step; settle: () => void }>();
  const open = [...titles].map(([name, title]) =>
    progress.step(title, (step) => new Promise<void>((settle) => steps.set(name, { step, settle }))),
  );
  try {
    return await work((name, event) => {
      const { step, settle } = steps.get(name) ?? {};
      if (event.type === 'note') step?.note(event.message);
      else if (event.type === 'ended') {
        const { problem, verdict } = event.flashed;
        if (problem !== undefined) step?.failed(problem);
        else step?.note(verdict);
        settle?.();
        steps.delete(name);
      } else {
        const { phase, done, total } = event;
        step?.update({ message: phase, done, ...(total !== undefined && { total }), unit: 'bytes' });
      }
    });
  } catch (error) {
    // Those that have ended have said how.
    for (const { step } of steps.values()) step.failed((error as Error).message);
    throw error;
  } finally {
    for (const { settle } of steps.values()) settle();
    await Promise.all(open);
  }
}

/** Seconds since a file was changed last; undefined for what is no file. */
export async function ageOf({ kind, name }: Source): Promise<number | undefined> {
  if (kind !== 'file') return undefined;
  const info = await stat(path.resolve(name)).catch(() => undefined);
  return info === undefined ? undefined : Math.max(0, (Date.now() - info.mtimeMs) / 1000);
}
