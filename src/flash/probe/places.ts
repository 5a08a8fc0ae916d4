// Where on a card a probe writes. Pure.
import { BLOCK, type Range } from '../write/chunks.ts';
import { SECTOR } from './mark.ts';

/** Bytes up to which the real capacity is told: partitions are laid out in these. */
export const GRAIN = 1 << 20;

/**
 * Bytes that are written at the card's end after all else. Fakes keep the last of what is written beyond their memory in a cache
 * that may even survive pulling them out; f3's authors have met caches of 63 MB (AltraMayor/f3 issue 52), 128 MiB (pull request
 * 281) and about 256 MB (doc/usage.rst, 'Users' notes'). So much, written where a fake has nothing, drives all else out of it.
 */
const RUN = 256 << 20;

/** Places of a survey at most, but for the powers of two. */
const MOST = 1024;
/** And at least, where there is room. */
const LEAST = 256;
/** Places of one step of the search: each step costs a run at the end, where the card has a cache, and a place hardly anything. */
const STEP = 63;

const down = (bytes: number, to: number): number => Math.floor(bytes / to) * to;

/** Whole blocks of a card. */
export const wholeBlocksOf = (size: number): number => down(size, BLOCK);

/** The stretch at the end that is written and read as a whole. */
export function runOf(end: number): Range {
  const length = Math.max(BLOCK, down(Math.min(Math.max(RUN, end / MOST), end / 4), BLOCK));
  return { offset: end - length, length };
}

/**
 * Blocks that are written before the run, and looked at after it: the first, the last, those around each power of two, and in
 * between never further apart than the run is long. Whatever the length after which addresses wrap, the run hits one of them then.
 */
export function placesBefore({ offset: end, length }: Range): number[] {
  const places = new Set([0, end - BLOCK]);
  const step = Math.max(BLOCK, Math.min(length, down((end + length) / LEAST, BLOCK)));
  for (let at = 0; at + BLOCK <= end; at += step) places.add(at);
  for (let power = GRAIN; power + BLOCK <= end; power *= 2) places.add(power).add(power - BLOCK);
  return [...places].filter((at) => at >= 0).sort((a, b) => a - b);
}

/** Blocks that end on whole MiB, after the last good block and before the first bad one; none when the edge is found. */
export function placesBetween(lastRight: number, firstWrong: number): number[] {
  const low = Math.floor((lastRight + BLOCK) / GRAIN) + 1;
  const count = Math.ceil((firstWrong + BLOCK) / GRAIN) - low;
  const place = (index: number): number => (low + index) * GRAIN - BLOCK;
  if (count <= STEP) return Array.from({ length: Math.max(0, count) }, (_, index) => place(index));
  return Array.from({ length: STEP }, (_, index) => place(Math.floor(((index + 1) * count) / (STEP + 1))));
}

/** Lengths in whole sectors that `distance` is a multiple of, from the longest to GRAIN: after one of them, addresses wrap. */
export function periodsOf(distance: number): number[] {
  const sectors = distance / SECTOR;
  const found = new Set<number>();
  for (let divisor = 1; divisor * divisor <= sectors; divisor++) {
    if (sectors % divisor === 0) found.add(divisor).add(sectors / divisor);
  }
  return [...found]
    .map((count) => count * SECTOR)
    .filter((bytes) => bytes >= GRAIN)
    .sort((a, b) => b - a);
}
