// How an image is cut: properties of pieces and of what a block map leaves out.
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  between,
  BLOCK,
  CHUNK,
  chunksOf,
  covering,
  totalOf,
  wholeBlocks,
  type CheckedRange,
  type Range,
} from '../../../src/flash/write/chunks.ts';

test('pieces: all of the ranges, each once, in order, none longer than CHUNK; what lies between is the rest', () => {
  const ranges = fc.array(fc.tuple(fc.nat(9000), fc.integer({ min: 1, max: 5000 })), { maxLength: 8 }).map((pairs) => {
    let at = 0;
    return pairs.map(([gap, length]): Range => {
      const range = { offset: (at + gap) * BLOCK, length: length * BLOCK };
      at += gap + length;
      return range;
    });
  });
  fc.assert(
    fc.property(ranges, fc.nat(50_000), (mapped, more) => {
      const pieces = [...chunksOf(mapped)];
      const end = Math.max(0, ...mapped.map(({ offset, length }) => offset + length)) + more * BLOCK;
      assert.is(totalOf(pieces), totalOf(mapped));
      assert.is(totalOf(mapped) + totalOf(between(mapped, end)), end);
      for (const [index, { offset, length }] of pieces.entries()) {
        assert.ok(
          length > 0 && length <= CHUNK && Math.floor(offset / CHUNK) === Math.floor((offset + length - 1) / CHUNK),
        );
        const next = pieces[index + 1];
        assert.ok(next === undefined || next.offset >= offset + length);
        assert.ok(mapped.some((range) => offset >= range.offset && offset + length <= range.offset + range.length));
      }
      const half = pieces[Math.floor(pieces.length / 2)];
      if (half !== undefined) assert.equal([...chunksOf(mapped, half.offset)], pieces.slice(pieces.indexOf(half)));
    }),
  );
});

test('what a card has for itself is written though no block map names it: every byte of it once, in whole blocks', () => {
  const block = fc.integer({ min: 0, max: 40 });
  const mapped = fc
    .uniqueArray(block, { maxLength: 12 })
    .map((blocks) =>
      blocks.sort((a, b) => a - b).map((each): CheckedRange => ({ offset: each * BLOCK, length: BLOCK })),
    );
  const own = fc
    .uniqueArray(block, { maxLength: 5 })
    .map((blocks) => blocks.map((each): Range => ({ offset: each * BLOCK + 512, length: 2 * BLOCK })));
  fc.assert(
    fc.property(mapped, own, (ranges, needed) => {
      const all = covering(ranges, needed);
      for (const range of ranges) assert.ok(all.includes(range), 'kept as it is');
      const bytes = (of: Range[]): Set<number> =>
        new Set(
          of.flatMap(({ offset, length }) =>
            Array.from({ length: wholeBlocks(length) / BLOCK }, (_, index) => offset / BLOCK + index),
          ),
        );
      const covered = bytes(all);
      assert.is(covered.size, totalOf(all) / BLOCK, 'each once');
      for (const { offset, length } of needed)
        for (let at = Math.floor(offset / BLOCK); at * BLOCK < offset + length; at++) assert.ok(covered.has(at));
      assert.equal(
        all,
        all.toSorted((a, b) => a.offset - b.offset),
      );
      for (const { offset, length } of all) assert.is((offset % BLOCK) + (length % BLOCK), 0);
    }),
  );
});

test.run();
