// What a probe writes: sectors of which each says where it was written, in which run and round, so that whatever is read tells its own story.
import type { Wrong } from './types.ts';

/** What cards are addressed in (SD Physical Layer Simplified Specification 5.3.3: READ_BL_LEN is fixed). */
export const SECTOR = 512;
const WORDS = SECTOR / Int32Array.BYTES_PER_ELEMENT;

/** `piim`: nothing else begins its sectors so. */
const MAGIC = 0x6d_69_69_70;
/** Words of a sector: magic, number of the sector (two), run (two), round, checksum of these; then noise that follows from them. */
const CHECKSUM = 6;

/** By what a sector is known to be of this run, and of this round of it: what was there before is not taken for what was just written. */
export interface Stamp {
  /** Two random numbers of 32 bits. */
  run: [number, number];
  round: number;
}

/** Fills `view` (whole sectors, aligned to words) for its place on the card. */
export function writeMarks(view: Uint8Array, offset: number, stamp: Stamp): void {
  const words = wordsOf(view);
  for (let at = 0; at < words.length; at += WORDS) fill(words, at, offset / SECTOR + at / WORDS, stamp);
}

/** What of `view`, read from `offset`, is not what was written there: neighbours of one kind as one range. */
export function judgeMarks(view: Uint8Array, offset: number, stamp: Stamp): Wrong[] {
  const words = wordsOf(view);
  const wrong: Wrong[] = [];
  for (let at = 0; at < words.length; at += WORDS) {
    fill(expected, 0, offset / SECTOR + at / WORDS, stamp);
    if (isSame(words, at)) continue;
    const place = offset + at * Int32Array.BYTES_PER_ELEMENT;
    append(wrong, { offset: place, length: SECTOR, ...storyOf(words, at, place, stamp) });
  }
  return wrong;
}

/** Adds to the last range where `next` goes on with it. */
export function append(ranges: Wrong[], next: Wrong): void {
  const last = ranges.at(-1);
  const goesOn =
    last !== undefined &&
    last.offset + last.length === next.offset &&
    last.what === next.what &&
    last.code === next.code &&
    (last.from === undefined ? next.from === undefined : last.from + last.length === next.from);
  if (goesOn) last.length += next.length;
  else ranges.push({ ...next });
}

const expected = new Int32Array(WORDS);
const wordsOf = ({ buffer, byteOffset, length }: Uint8Array): Int32Array =>
  new Int32Array(buffer, byteOffset, length / Int32Array.BYTES_PER_ELEMENT);

function fill(words: Int32Array, at: number, sector: number, { run, round }: Stamp): void {
  words[at] = MAGIC;
  words[at + 1] = sector;
  words[at + 2] = Math.floor(sector / 2 ** 32);
  words[at + 3] = run[0];
  words[at + 4] = run[1];
  words[at + 5] = round;
  let state = checksum(words, at);
  for (let index = CHECKSUM; index < WORDS; index++) {
    words[at + index] = state;
    // Numerical Recipes, 7.1: any noise will do that no card can know or pack.
    state = Math.imul(state, 1_664_525) + 1_013_904_223;
  }
}

function isSame(words: Int32Array, at: number): boolean {
  for (let index = 0; index < WORDS; index++) if (words[at + index] !== expected[index]) return false;
  return true;
}

function isBlank(words: Int32Array, at: number): boolean {
  for (let index = 1; index < WORDS; index++) if (words[at + index] !== words[at]) return false;
  return true;
}

/** FNV-1a over words instead of bytes. */
function checksum(words: Int32Array, at: number): number {
  let hash = 0x81_1c_9d_c5;
  for (let index = 0; index < CHECKSUM; index++) hash = Math.imul(hash ^ (words[at + index] as number), 0x01_00_01_93);
  return hash | 0;
}

function storyOf(words: Int32Array, at: number, place: number, { run, round }: Stamp): Pick<Wrong, 'what' | 'from'> {
  const [magic, low = 0, high = 0, first, second, third, sum] = words.subarray(at, at + CHECKSUM + 1);
  if (isBlank(words, at)) return { what: 'blank' };
  if (magic !== MAGIC || sum !== checksum(words, at)) return { what: 'changed' };
  if (first !== run[0] || second !== run[1] || third !== round) return { what: 'old' };
  const from = ((low >>> 0) + high * 2 ** 32) * SECTOR;
  return from === place ? { what: 'changed' } : { what: 'elsewhere', from };
}
