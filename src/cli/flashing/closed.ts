// Whether anybody could log in to what was written, of an image that could not be looked into before.
import { letsAnybodyIn } from '../../vendor/logins.ts';
import { withImageView, withView } from '../image-view.ts';
import type { Flashed, ReadyCard } from './flash.ts';
import { isPlain, type FlashImage } from './image.ts';
import type { Opener } from './opener.ts';

/** Whether `letsNobodyIn` will tell. */
export const toldLater = ({ source, header }: Pick<FlashImage, 'source' | 'header'>): boolean =>
  header === undefined && !isPlain(source);

/**
 * Whether an image of another maker that was packed, or came from elsewhere, lets nobody in, by the first of its cards that can be read: they
 * are all the same. Undefined where it is not known: the cards are written, whatever this comes to.
 */
export async function letsNobodyIn(flashed: Flashed[], opener: Opener): Promise<boolean | undefined> {
  for (const { card, problem } of flashed) {
    if (problem !== undefined) continue;
    try {
      const open = await look(card, opener);
      return open === undefined ? undefined : !open;
    } catch {
      // Taken out already, or no system that can be read.
    }
  }
  return undefined;
}

async function look({ target, file = '' }: ReadyCard, opener: Opener): Promise<boolean | undefined> {
  if (target === undefined) return withImageView(file, letsAnybodyIn);
  const { path, size } = target.identity;
  const handle = await opener.look(target.identity);
  try {
    return await withView(path, { handle, block: true, size }, letsAnybodyIn);
  } finally {
    await handle.close();
  }
}
