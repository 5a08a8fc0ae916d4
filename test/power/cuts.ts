// Where the power is cut: at every step's boundaries, and at random entries of each part of the boot.
import { findText, flushedBy, type LogEntry } from './write-log.ts';

/** A card to be booted: the log's first `entries`. */
export interface Cut {
  entries: number;
  name: string;
}

export interface Region {
  name: string;
  from: number;
  to: number;
}

/** mulberry32: the same seed gives the same cuts everywhere. https://gist.github.com/tommyettinger/46a874533244883189143505d203312c */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** `perRegion` random entries of each region and every boundary; each with what was not flushed, and without. Sorted, each once. */
export function chooseCuts(
  entries: LogEntry[],
  { regions, boundaries, perRegion, seed }: { regions: Region[]; boundaries: Cut[]; perRegion: number; seed: number },
): Cut[] {
  const next = random(seed);
  const drawn = regions.flatMap(({ name, from, to }) =>
    Array.from({ length: perRegion }, () => {
      const at = from + 1 + Math.floor(next() * (to - from));
      return { entries: at, name: `${name}, entry ${at}` };
    }),
  );
  const cuts = [...boundaries, ...drawn].flatMap((cut) => [
    cut,
    { entries: flushedBy(entries, cut.entries), name: `${cut.name}, flushed only` },
  ]);
  const once = new Map(cuts.sort((a, b) => a.entries - b.entries).map((cut) => [cut.entries, cut]));
  return [...once.values()];
}

/** When a step is noted as started and as applied: the entry before the note, and the one that holds it. */
export async function stepBoundaries(log: string, entries: LogEntry[], steps: string[], from: number): Promise<Cut[]> {
  const cuts: Cut[] = [];
  for (const step of steps) {
    for (const state of ['started', 'applied']) {
      const pattern = new RegExp(`"${step}":\\{"digest":"[0-9a-f]+","state":"${state}"`);
      const at = await findText(log, entries, pattern, from);
      if (at === undefined) throw new Error(`the log does not show step ${step} as ${state}`);
      cuts.push({ entries: at, name: `before ${step} is ${state}` }, { entries: at + 1, name: `${step} ${state}` });
    }
  }
  return cuts;
}
