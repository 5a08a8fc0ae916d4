// The story of a flash: every card gets the image and its own identity, is read back, and only then made bootable.
import { setTimeout as sleep } from 'node:timers/promises';
import { overlap } from './chunks.ts';
import { complete } from './complete.ts';
import { guarded, type Limits } from './guarded.ts';
import { advance, newLife, note, outcome, type Life } from './life.ts';
import { feed, type Member } from './pass.ts';
import { startReader as inThisProcess, type StartReader } from './reader.ts';
import type { FlashedCard, FlashJob, Tell } from './types.ts';

/** Linux gives a SCSI command 30 seconds and tries it up to six times (drivers/scsi/sd.h: SD_TIMEOUT, SD_MAX_RETRIES). */
const SILENCE = 180;
/** Milliseconds that a thread has for its last answer. */
const LAST_ANSWER = 2000;

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
    if (job.mode !== 'verify')
      await Promise.all(lives.map((life) => guarded(life, limits, () => life.card.order('begin'))));
    const able = lives.filter(({ problem }) => problem === undefined);
    const fed = feed(
      { ...from, ranges: job.ranges },
      able.map((life) => memberOf(life, job)),
    );
    const stories = able.map((life, index) =>
      guarded(life, limits, async () => {
        const size = Math.max((await fed[index]) ?? 0, job.size ?? 0);
        life.imageSize = size;
        await complete(life, job, async (pieces) => {
          // A piece is filled up to whole blocks; an image need not end on one.
          const ranges = pieces.map(({ offset, length }) => ({ offset, length: Math.min(length, size - offset) }));
          await Promise.all(feed({ ...from, ranges }, [{ ...memberOf(life, job), wants: () => true }]));
        });
      }),
    );
    await Promise.all(stories);
    return lives.map(outcome);
  } finally {
    for (const { card } of lives) card.stop();
    await Promise.race([Promise.all(lives.map(({ card }) => card.end())), sleep(LAST_ANSWER)]);
  }
}

function memberOf(life: Life, { mode }: FlashJob): Member {
  const { target, card } = life;
  const own = [{ offset: 0, length: 1 }, ...target.patches];
  return {
    card,
    // What is this card's own is new in every run.
    wants: (chunk) =>
      mode === 'verify' ||
      chunk.offset + chunk.length > target.resumeFrom ||
      own.some((range) => overlap(range, chunk)),
    noted(chunk, digest, written) {
      note(life, chunk, digest, written && mode !== 'verify');
      if (mode !== 'verify') advance(life, 'writing', chunk.length);
    },
  };
}
