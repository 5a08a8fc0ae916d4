// What is known of one card while it is written.
import { digestOfPieces, type DigestedPiece } from '../card-digest.ts';
import { startCard, type Card } from './card.ts';
import { between, inBlocks, totalOf, type Range } from './chunks.ts';
import type { CardToWrite, FlashedCard, FlashEvent, FlashJob, Phase, Tell } from './types.ts';

export interface Life {
  target: CardToWrite;
  card: Card;
  /** Pieces by their offset, and what is to be read there; `image`: what the image has there, which has nothing of what is wiped. */
  pieces: Map<number, Range & { digest: string; image: DigestedPiece | undefined; assumed: boolean }>;
  imageSize?: number;
  written: number;
  read: number;
  done: number;
  upTo: number;
  total: number | undefined;
  /** Milliseconds of performance.now(). */
  times: { begun: number; written?: number; read?: number };
  tell(event: FlashEvent): void;
  /** `beginning`: its first block is being zeroed. `sealed`: it is being written, or is written and not read back yet. `compared`: nothing is ever written. */
  state: 'compared' | 'untouched' | 'beginning' | 'begun' | 'sealed' | 'done';
  problem?: { message: string; hint?: string | undefined; stopped: boolean };
  verified: boolean;
}

const EMPTIED = { yes: 'begun', no: 'untouched', perhaps: 'beginning' } as const;

export function newLife(target: CardToWrite, { ranges, size, about, mode, wipe }: FlashJob, tell: Tell): Life {
  const life: Life = {
    target,
    card: startCard({
      ...target,
      dry: mode === 'verify',
      retried: ({ op, offset, code }) =>
        life.tell({ type: 'note', message: `${op} at byte ${offset} failed (${code}); trying again` }),
    }),
    pieces: new Map(),
    written: 0,
    read: 0,
    done: 0,
    upTo: target.resumeFrom,
    total: undefined,
    times: { begun: performance.now() },
    tell: (event) => tell(target.name, event),
    state: mode === 'verify' ? 'compared' : EMPTIED[target.emptied ?? 'no'],
    verified: false,
  };
  const end = size ?? about;
  if (ranges === undefined && end === undefined) return life;
  const mapped = inBlocks(ranges ?? [{ offset: 0, length: end ?? 0 }]);
  const bytes = totalOf(mapped) + (wipe ? totalOf(between(mapped, target.size)) : 0);
  life.total = mode === 'write+verify' ? 2 * bytes : bytes;
  return life;
}

/** A piece is on the card, or thought to be there. */
export function note(
  life: Life,
  { offset, length: most }: Range,
  { digest, image, written }: { digest: string; image?: string; written: boolean },
): void {
  const length = Math.min(most, life.target.size - offset);
  const ofImage = image === undefined ? undefined : { offset, length: most, digest: image };
  life.pieces.set(offset, { offset, length, digest, image: ofImage, assumed: !written });
  if (!written) return;
  life.written += length;
  life.upTo = Math.max(life.upTo, offset + length);
}

export function advance(life: Life, phase: Phase, bytes: number): void {
  life.done += bytes;
  // It was thought to have less.
  if (life.total !== undefined && life.done > life.total) life.total = undefined;
  const { done, total, upTo } = life;
  life.tell({ type: 'progress', phase, done, total, upTo });
}

export function outcome({ target, written, read, imageSize, problem, verified, times, pieces }: Life): FlashedCard {
  const { begun, written: end = performance.now(), read: last = end } = times;
  return {
    name: target.name,
    verdict: problem === undefined ? (verified ? 'verified' : 'written') : problem.stopped ? 'stopped' : 'failed',
    ...(problem && { problem: problem.message, ...(problem.hint !== undefined && { hint: problem.hint }) }),
    ...(imageSize !== undefined && { imageSize }),
    written,
    read,
    writing: (end - begun) / 1000,
    reading: (last - end) / 1000,
    ...(verified && { digest: digestOfPieces([...pieces.values()]) }),
    ...(imageSize !== undefined && {
      imageDigest: digestOfPieces([...pieces.values()].flatMap(({ image }) => image ?? [])),
    }),
  };
}
