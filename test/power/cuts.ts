// Where the power is cut: at every step's boundaries, and at random entries of each part of the boot.
import { SECTOR } from '../../src/image/mbr.ts';
import { findText, flushedBy, type LogEntry } from './write-log.ts';

/** A card to be booted: the log's first `entries`, and further ones that no flush had ordered. */
export interface Cut {
  entries: number;
  further: number[];
  /** Bytes that the last of those reached the card with: whole sectors. All of it when left out. */
  torn?: number;
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

/**
 * `perRegion` random entries of each region and every boundary; each with all that was not flushed, with some of it (a card writes in
 * the order it likes until it is told to flush, and is cut within a write) and with nothing of it. Sorted, each once.
 */
export function chooseCuts(
  entries: LogEntry[],
  { regions, boundaries, perRegion, seed }: { regions: Region[]; boundaries: Cut[]; perRegion: number; seed: number },
): Cut[] {
  const next = random(seed);
  const drawn = regions.flatMap(({ name, from, to }) =>
    Array.from({ length: perRegion }, (): Cut => {
      const at = from + 1 + Math.floor(next() * (to - from));
      return { entries: at, further: [], name: `${name}, entry ${at}` };
    }),
  );
  const cuts = [...boundaries, ...drawn].flatMap((cut) => {
    const flushed = flushedBy(entries, cut.entries);
    const loose = Array.from({ length: cut.entries - flushed }, (_, index) => flushed + index);
    if (cut.torn !== undefined) return [cut];
    const some = loose.filter(() => next() < 0.5);
    const sectors = (entries[some.at(-1) ?? NaN]?.length ?? 0) / SECTOR;
    const torn = sectors > 1 ? { torn: Math.floor(next() * sectors) * SECTOR } : {};
    const name = `${cut.name}, ${some.length} of ${loose.length} unflushed${sectors > 1 ? ', the last torn' : ''}`;
    return [
      cut,
      { entries: flushed, further: some, ...torn, name },
      { entries: flushed, further: [], name: `${cut.name}, flushed only` },
    ];
  });
  const once = new Map(cuts.map((cut) => [`${cut.entries} ${cut.further.join()} ${cut.torn}`, cut]));
  return [...once.values()].sort((a, b) => a.entries - b.entries);
}

/** When a step is noted as started and as applied: the entry before the note, and the one that holds it. */
export async function stepBoundaries(log: string, entries: LogEntry[], steps: string[], from: number): Promise<Cut[]> {
  const cuts: Cut[] = [];
  for (const step of steps) {
    for (const state of ['started', 'applied']) {
      const pattern = new RegExp(`"${step}":\\{"digest":"[0-9a-f]+","state":"${state}"`);
      const at = await findText(log, entries, pattern, from);
      if (at === undefined) throw new Error(`the log does not show step ${step} as ${state}`);
      cuts.push({ entries: at, further: [], name: `before ${step} is ${state}` });
      cuts.push({ entries: at + 1, further: [], name: `${step} ${state}` });
    }
  }
  return cuts;
}

/** What is written over the slots once their secrets are taken off. */
const BLANK = {
  'piimg.json': /"token":null/,
  'user-data': /^#cloud-config\n\{"/,
  'network-config': /^\{"version":2,"ethernets":(?![^]*"wifis")/,
};

/** A slot that may hold secrets at first. */
export type SecretiveSlot = keyof typeof BLANK;

/** In the middle of the writes that take secrets off the boot partition, whose file system has no journal. */
export async function tornSlots(
  log: string,
  entries: LogEntry[],
  { slots, from }: { slots: SecretiveSlot[]; from: number },
): Promise<Cut[]> {
  const cuts: Cut[] = [];
  for (const slot of slots) {
    const at = await findText(log, entries, BLANK[slot], from);
    if (at === undefined) throw new Error(`the log does not show that secrets are taken off ${slot}`);
    cuts.push({ entries: at, further: [at], torn: SECTOR, name: `${slot} torn while its secrets are taken off` });
  }
  return cuts;
}
