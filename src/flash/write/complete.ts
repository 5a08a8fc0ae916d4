// From the image's last piece to a card that boots: wipe, flush, read back, and the first block.
import { sha256 } from '../../lib/digest.ts';
import { PiimgError } from '../../lib/errors.ts';
import { between, chunksOf, inBlocks, totalOf, type Range } from './chunks.ts';
import { advance, note, type Life } from './life.ts';
import type { FlashJob } from './types.ts';

/** `repair` writes pieces once more. Rejects with PiimgError when the card is not what it is to be, with CardFailure when it fails. */
export async function complete(
  life: Life,
  job: FlashJob,
  repair: (pieces: Range[]) => Promise<unknown>,
): Promise<void> {
  const { card, times } = life;
  if (job.mode === 'verify') {
    await requireEqual(life, [...life.pieces.values()]);
    return;
  }
  if (job.wipe) await wipe(life, job);
  await card.order('flush');
  times.written = performance.now();
  if (job.mode === 'write') {
    life.state = 'sealed';
    await card.order('seal');
    life.state = 'done';
    return;
  }
  const pieces = [...life.pieces.values()];
  life.total = life.done + totalOf(pieces);
  // The first piece is whole only when its first block is written.
  const wrong = await compare(
    life,
    pieces.filter(({ offset }) => offset > 0),
  );
  const again = wrong.filter(({ offset }) => life.pieces.get(offset)?.assumed);
  if (again.length > 0) {
    life.tell({ type: 'note', message: `${again.length} pieces of an earlier run are not there; writing them again` });
    await repair(again);
    await card.order('flush');
  }
  const still = [...wrong.filter((range) => !again.includes(range)), ...(await compare(life, again))];
  if (still.length > 0) throw readsDifferently(still, job);
  life.state = 'sealed';
  await card.order('seal');
  const head = await compare(
    life,
    pieces.filter(({ offset }) => offset === 0),
  );
  if (head.length > 0) {
    await card.order('break');
    life.state = 'begun';
    throw readsDifferently(head, job);
  }
  times.read = performance.now();
  life.verified = true;
  life.state = 'done';
}

async function requireEqual(life: Life, pieces: Range[]): Promise<void> {
  life.times.written = performance.now();
  life.total = totalOf(pieces);
  const wrong = await compare(life, pieces);
  life.times.read = performance.now();
  if (wrong.length > 0) throw readsDifferently(wrong, { mode: 'verify' });
  life.verified = true;
}

/** What reads wrong is read once more: a slip of the reader's is told, and not taken for the card's. */
async function compare(life: Life, pieces: Range[]): Promise<Range[]> {
  if (pieces.length === 0) return [];
  const isRight = ({ offset }: Range, digest: string): boolean => digest === life.pieces.get(offset)?.digest;
  const wrong = await life.card.compare(pieces, isRight, (bytes) => {
    life.read += bytes;
    advance(life, 'reading back', bytes);
  });
  if (wrong.length === 0) return [];
  const still = await life.card.compare(wrong, isRight, () => {});
  const slips = wrong.length - still.length;
  if (slips > 0)
    life.tell({ type: 'note', message: `${slips} pieces read right the second time only: mistrust the reader` });
  return still;
}

function readsDifferently(wrong: Range[], { mode }: Pick<FlashJob, 'mode'>): PiimgError {
  const { offset, length } = wrong[0] ?? { offset: 0, length: 0 };
  const places = wrong.length === 1 ? 'one place' : `${wrong.length} places`;
  const where = `${places}, first between byte ${offset} and ${offset + length}`;
  return mode === 'verify'
    ? new PiimgError(`differs from the image in ${where}`, {
        hint: 'A machine that has booted from it has changed it. Otherwise write it again.',
      })
    : new PiimgError(`reads differently from what was written in ${where}`, {
        hint: 'The card is worn out or has less room than it says (piimg probe tells), or its reader is faulty.',
      });
}

async function wipe(life: Life, { ranges }: FlashJob): Promise<void> {
  const { card, target, imageSize = 0 } = life;
  const mapped = inBlocks(ranges ?? [{ offset: 0, length: imageSize }]);
  for (const piece of chunksOf(between(mapped, target.size))) {
    const digest = digestOfZeros(piece.length);
    const [written = digest] = await card.write(NO_RING, [{ ...piece, digest }]);
    note(life, piece, { digest: written, written: true });
    advance(life, 'wiping', piece.length);
  }
}

const NO_RING = new Uint8Array(new SharedArrayBuffer(0));

const known = new Map<number, string>();
/** Nearly all pieces are of one length. */
function digestOfZeros(length: number): string {
  const digest = known.get(length) ?? sha256(new Uint8Array(length));
  known.set(length, digest);
  return digest;
}
