// Whether anybody could log in to what was written, of an image that could not be looked into before.
import { PiimgError } from '../../lib/errors.ts';
import { letsAnybodyIn } from '../../vendor/logins.ts';
import { withImageView } from '../image-view.ts';
import { nameOf, type Flashed } from './flash.ts';
import { isPlain, type FlashImage } from './image.ts';
import type { Opener } from './opener.ts';

/**
 * Whether the image of another maker that was packed, or came from elsewhere, lets nobody in, by one of its cards: they are all the same. Not
 * where it is not known.
 */
export async function letsNobodyIn(
  { source, header }: Pick<FlashImage, 'source' | 'header'>,
  flashed: Flashed[],
  opener: Opener,
): Promise<boolean> {
  const one = flashed.find(({ problem }) => problem === undefined);
  if (header !== undefined || isPlain(source) || one === undefined) return false;
  try {
    return (await withImageView(nameOf(one.card), letsAnybodyIn, opener)) === false;
  } catch (error) {
    if (error instanceof PiimgError) return false;
    throw error;
  }
}
