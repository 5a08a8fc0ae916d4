// How an image is cut for its way to a card: pieces of the ranges that its block map names. Pure.

/** Bytes of a piece at most. Pieces of 4 MiB were no faster on loop devices, and took 40 MB more for four cards. */
export const CHUNK = 1 << 20;
/** Pieces are whole blocks of this many bytes: any card's sector fits in, and a page, which direct I/O may ask for. */
export const BLOCK = 4096;

export interface Range {
  offset: number;
  length: number;
}

/** A range as block maps have it, with what a reader must find there. */
export interface CheckedRange extends Range {
  /** In hex; `type` as node:crypto names it. */
  sum?: { type: string; hex: string };
}

/** Pieces of `ranges` from byte `from` on, in order, cut at multiples of CHUNK. */
export function* chunksOf(ranges: Range[], from = 0): Generator<Range> {
  for (const { offset, length } of ranges) {
    const end = offset + length;
    for (let at = Math.max(offset, from); at < end;) {
      const next = Math.min(end, at - (at % CHUNK) + CHUNK);
      yield { offset: at, length: next - at };
      at = next;
    }
  }
}

/** How many of the first `pieces` lie one after the other, on the card and in the ring, within `most` bytes; the first one does. */
export function adjacent(pieces: (Range & { slot: number })[], most: number): number {
  const [first] = pieces;
  if (first === undefined) return 0;
  let count = 1;
  for (let end = first.offset + first.length; count < pieces.length; count++) {
    const { offset, length, slot } = pieces[count] as (typeof pieces)[number];
    const follows = offset === end && offset - first.offset === (slot - first.slot) * CHUNK;
    if (!follows || offset + length - first.offset > most) break;
    end += length;
  }
  return count;
}

/** What lies between `ranges` (sorted, none over another) and up to `size`. */
export function between(ranges: Range[], size: number): Range[] {
  const gaps: Range[] = [];
  let at = 0;
  for (const { offset, length } of [...ranges, { offset: size, length: 0 }]) {
    if (offset > at) gaps.push({ offset: at, length: offset - at });
    at = Math.max(at, offset + length);
  }
  return gaps;
}

/** Ranges that begin on a block, as their pieces fill the card: to the end of a block. */
export const inBlocks = (ranges: Range[]): Range[] =>
  ranges.map(({ offset, length }) => ({ offset, length: wholeBlocks(length) }));

/** `ranges`, and in whole blocks whatever of `needed` they leave out: a block map knows only what the image has. */
export function covering(ranges: CheckedRange[], needed: Range[]): CheckedRange[] {
  const gaps = between(inBlocks(ranges), Infinity);
  const more = gaps.flatMap((gap) =>
    needed
      .filter((each) => overlap(each, gap))
      .map((each) => {
        const from = Math.max(gap.offset, each.offset - (each.offset % BLOCK));
        return {
          offset: from,
          length: Math.min(gap.offset + gap.length, wholeBlocks(each.offset + each.length)) - from,
        };
      }),
  );
  const merged: Range[] = [];
  for (const { offset, length } of more.sort((a, b) => a.offset - b.offset)) {
    const last = merged.at(-1);
    if (last !== undefined && offset < last.offset + last.length)
      last.length = Math.max(last.length, offset + length - last.offset);
    else merged.push({ offset, length });
  }
  return [...ranges, ...merged].sort((a, b) => a.offset - b.offset);
}

export const totalOf = (ranges: Range[]): number => ranges.reduce((sum, { length }) => sum + length, 0);

/** `length`, or the next count of whole blocks. */
export const wholeBlocks = (length: number): number => Math.ceil(length / BLOCK) * BLOCK;

export const overlap = (a: Range, b: Range): boolean =>
  a.offset < b.offset + b.length && b.offset < a.offset + a.length;
