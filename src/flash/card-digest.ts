// What a card holds now, as one digest that can be compared with its row in the ledger.
import type { Positioned } from '../image/ranges.ts';
import { sha256 } from '../lib/digest.ts';
import { PiimgError } from '../lib/errors.ts';
import { CHUNK, chunksOf, type Range } from './write/chunks.ts';

/** A piece of a card and the sha256 of its bytes. */
export interface DigestedPiece extends Range {
  digest: string;
}

/** sha256 over a line `OFFSET LENGTH SHA256` for each piece, in the order they lie on the card. */
export function digestOfPieces(pieces: DigestedPiece[]): string {
  const lines = pieces
    .toSorted((a, b) => a.offset - b.offset)
    .map(({ offset, length, digest }) => `${offset} ${length} ${digest}\n`);
  return sha256(lines.join(''));
}

/** Reads what `ranges` name of an open card of `size` bytes. `progress` gets the bytes of each piece. Throws PiimgError when it ends before. */
export async function digestOfCard(
  card: Positioned,
  { ranges, size }: { ranges: Range[]; size: number },
  progress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<string> {
  const memory = Buffer.alloc(CHUNK);
  const pieces: DigestedPiece[] = [];
  for (const piece of chunksOf(ranges)) {
    signal.throwIfAborted();
    const { offset } = piece;
    const length = Math.min(piece.length, size - offset);
    const view = memory.subarray(0, length);
    for (let at = 0; at < length;) {
      const { bytesRead } = await card.read(view, at, length - at, offset + at);
      if (bytesRead === 0)
        throw new PiimgError(`The card ends at byte ${offset + at}, within what was written to it`, {
          hint: 'If it is the copy of a card: copy it again, to its end. A card itself that does is worn out or counterfeit: piimg probe CARD',
        });
      at += bytesRead;
    }
    pieces.push({ offset, length, digest: sha256(view) });
    progress(length);
  }
  return digestOfPieces(pieces);
}
