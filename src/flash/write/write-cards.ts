// The story of a flash: every card gets the image and its own identity, is read back, and only then made bootable.
import { PiimgError } from '../../lib/errors.ts';
import { within } from '../../lib/within.ts';
import { CHUNK, overlap } from './chunks.ts';
import { complete } from './complete.ts';
import { CardFailure } from './failure.ts';
import { guarded, LAST_ANSWER, type Limits } from './guarded.ts';
import { advance, newLife, note, outcome, type Life } from './life.ts';
import { feed, type Member } from './pass.ts';
import { startReader as inThisProcess, type StartReader } from './reader.ts';
import type { FlashedCard, FlashJob, Tell } from './types.ts';

/** Linux gives a SCSI command 30 seconds and tries it up to six times (drivers/scsi/sd.h: SD_TIMEOUT, SD_MAX_RETRIES). */
const SILENCE = 180;

/**
 * How it ended for each card: what one fails of keeps no other back. Nothing boots from a card that is not verified (or, without that,
 * wholly written). When `signal` aborts, what is not ready stays so. Rejects for bugs only.
 */
export async function writeCards(
  job: FlashJob,
  tell: Tell,
  options: { signal: AbortSignal; startReader?: StartReader; silence?: number },
): Promise<FlashedCard[]> {
  const { signal, startReader = inThisProcess, silence = SILENCE } = options;
  const limits: Limits = { signal, silence };
  const lives = job.cards.map((card) => newLife(card, job, tell));
  const from = { source: job.source, startReader, signal };
  try {
    // Each card does what it is asked in turn: none waits for another's beginning.
    const able = signal.aborted ? [] : lives.filter(({ target }) => !target.dead);
    const begun = able.map((life) => begin(life, job));
    const fed = feed(
      { ...from, ranges: job.ranges },
      able.map((life) => memberOf(life, job)),
    );
    // What one that was given up before would have waited for.
    for (const promise of [...begun, ...fed]) promise?.catch(() => {});
    const stories = lives.map(async (life) => {
      await guarded(life, limits, async () => {
        if (life.target.dead) throw new CardFailure({ code: 'silent', op: 'minutes' });
        const place = able.indexOf(life);
        await begun[place];
        if (life.state === 'beginning') life.state = 'begun';
        const size = sizeOf(job, (await fed[place]) ?? 0);
        life.imageSize = size;
        await complete(life, job, async (pieces) => {
          // A piece is filled up to whole blocks; an image need not end on one.
          const ranges = pieces.map(({ offset, length }) => ({ offset, length: Math.min(length, size - offset) }));
          await Promise.all(feed({ ...from, ranges }, [{ ...memberOf(life, job), wants: () => true }]));
        });
      });
      const flashed = outcome(life);
      life.tell({ type: 'ended', flashed });
      return flashed;
    });
    return await Promise.all(stories);
  } finally {
    for (const { card } of lives) card.stop();
    await within(LAST_ANSWER, Promise.all(lives.map(({ card }) => card.end())));
  }
}

function begin(life: Life, { mode }: FlashJob): Promise<void> | undefined {
  if (mode === 'verify') return undefined;
  life.state = 'beginning';
  return life.card.order('begin');
}

/** `read`: bytes that the image turned out to have. Throws PiimgError when it lacks its end. */
function sizeOf({ source, size: told, least = 0 }: FlashJob, read: number): number {
  const size = told ?? read;
  if (read === size && size >= least) return size;
  const wanted = Math.max(size, least);
  const what = read < wanted ? `is cut off: it ends at byte ${read}, not ${wanted}` : `has ${read} bytes, not ${size}`;
  throw new PiimgError(`The image ${source.name} ${what}`, {
    hint: 'Download, copy or build it again.',
  });
}

function memberOf(life: Life, { mode }: FlashJob): Member {
  const { target, card } = life;
  const own = [{ offset: 0, length: 1 }, ...target.patches];
  return {
    card,
    block: target.block ?? CHUNK,
    // What is this card's own is new in every run.
    wants: (chunk) =>
      mode === 'verify' ||
      chunk.offset + chunk.length > target.resumeFrom ||
      own.some((range) => overlap(range, chunk)),
    noted(chunk, digest, written) {
      note(life, chunk, { digest, image: chunk.digest, written: written && mode !== 'verify' });
      if (mode !== 'verify') advance(life, 'writing', chunk.length);
    },
  };
}
