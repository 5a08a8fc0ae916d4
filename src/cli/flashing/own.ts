// What of a card is its own: where an image that piimg has built has room for an identity, and the card's record.
import type { Patch } from '../../flash/write/types.ts';
import { CARD_RECORD } from '../../flash/card-record.ts';
import type { ImageHeader } from '../../image/header.ts';

/** Places where a card may differ from its image; none of an image from elsewhere. */
export function ownPlaces(header: ImageHeader | undefined): Patch[] {
  if (header === undefined) return [];
  return [CARD_RECORD, ...header.slots.map(({ offset, length }) => ({ offset, length }))];
}
