// How quick a card is, in numbers that say how a Pi will run from it.
import { BLOCK } from '../write/chunks.ts';
import type { Probing, Run } from './survey.ts';
import type { Speed, Wrong } from './types.ts';

/** Long enough for a card to clean up in between, short enough to wait for. */
const SECONDS = 3;

/**
 * Reads and writes blocks here and there in the stretch that was just written: blocks that hold nothing are read without asking the
 * flash. It is as large as what Raspberry Pi's own test takes (raspberrypi-ui/agnostics, sd_bench.fio); other than there, one request is under
 * way at a time, as when a file system waits for its journal. Undefined where there is no such stretch.
 */
export async function measureSpeed(
  probing: Probing,
  { written, read, round: filled, ...range }: Run,
  seconds = SECONDS,
): Promise<{ speed: Speed; wrong: Wrong[] } | undefined> {
  if (written === undefined || read === undefined) return undefined;
  const { ask, tell } = probing;
  const order = { range: { offset: range.offset, length: range.length }, seconds };
  const progress = (message: string) => (): void => tell({ message });
  const reads = await ask({ op: 'random read', ...order, round: filled }, progress('reading here and there'));
  const round = ++probing.round;
  const writes = await ask({ op: 'random write', ...order, round }, progress('writing here and there'));
  const perSecond = (count: number, { seconds: taken }: { seconds: number }): number => count / Math.max(taken, 1e-6);
  const rates = {
    sequentialWrite: perSecond(written.bytes, written),
    sequentialRead: perSecond(read.bytes, read),
    randomWrite: perSecond(writes.bytes / BLOCK, writes),
    randomRead: perSecond(reads.bytes / BLOCK, reads),
  };
  return { speed: { ...rates, reaches: classOf(rates) }, wrong: reads.wrong };
}

/** SD Physical Layer Specification, 5.1 for A1 and 6.0 for A2: least random writes and reads per second; both write 10 MB/s in a row. */
const CLASSES = [
  { name: 'A2', randomWrite: 2000, randomRead: 4000 },
  { name: 'A1', randomWrite: 500, randomRead: 1500 },
] as const;
const SEQUENTIAL = 10e6;

/** The best class whose numbers these are. */
export function classOf(rates: Omit<Speed, 'reaches'>): Speed['reaches'] {
  const reached = CLASSES.find(
    ({ randomWrite, randomRead }) =>
      rates.randomWrite >= randomWrite && rates.randomRead >= randomRead && rates.sequentialWrite >= SEQUENTIAL,
  );
  return reached?.name ?? 'none';
}
