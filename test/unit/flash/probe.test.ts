// Whatever a counterfeit card pretends, a probe finds what it really has; and no honest one is accused.
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { conclude } from '../../../src/flash/probe/conclude.ts';
import { judgeMarks, SECTOR, writeMarks } from '../../../src/flash/probe/mark.ts';
import { GRAIN, periodsOf, placesBefore, placesBetween, runOf } from '../../../src/flash/probe/places.ts';
import { probeThrough } from '../../../src/flash/probe/probe.ts';
import { classOf } from '../../../src/flash/probe/speed.ts';
import type { ProbeResult } from '../../../src/flash/probe/types.ts';
import { BLOCK } from '../../../src/flash/write/chunks.ts';
import type { Progress } from '../../../src/lib/progress.ts';
import { askFakeCard, type FakeCard } from '../../helpers/fake-card.ts';

const MIB = 1 << 20;
const SIZE = 8 * MIB;
const quiet: Progress = {
  step: (_, work) => work({ update() {}, note() {}, cached() {}, failed() {} }),
};

const probe = (card: FakeCard, full = false): Promise<ProbeResult> =>
  probeThrough(askFakeCard(card).ask, { name: 'card', size: card.size, full }, quiet, 0.01);

const stamp = { run: [123, -456] as [number, number], round: 7 };

test('marks: what is read tells where it was written, when, or what became of it', () => {
  const view = new Uint8Array(4 * SECTOR);
  const far = 5 * 2 ** 41 + 3 * SECTOR;
  for (const offset of [0, SECTOR, far]) {
    writeMarks(view, offset, stamp);
    assert.equal(judgeMarks(view, offset, stamp), []);
    assert.equal(judgeMarks(view, offset + MIB, stamp), [
      { offset: offset + MIB, length: view.length, what: 'elsewhere', from: offset },
    ]);
    assert.is(judgeMarks(view, offset, { ...stamp, round: 8 })[0]?.what, 'old');
    assert.is(judgeMarks(view, offset, { ...stamp, run: [123, 456] })[0]?.what, 'old');
  }
  fc.assert(
    fc.property(fc.nat(view.length - 1), fc.nat(7), (at, bit) => {
      writeMarks(view, far, stamp);
      view[at] = (view[at] ?? 0) ^ (1 << bit);
      const offset = far + at - (at % SECTOR);
      assert.equal(judgeMarks(view, far, stamp), [{ offset, length: SECTOR, what: 'changed' }]);
    }),
  );
  for (const byte of [0, 0xff, 0x20]) {
    view.fill(byte);
    assert.equal(judgeMarks(view, 0, stamp), [{ offset: 0, length: view.length, what: 'blank' }]);
  }
});

test('places: the first, the last, never further apart than the run is long, no more than some thousand', () => {
  const sizes = fc.oneof(fc.integer({ min: 4, max: 100_000 }), fc.integer({ min: 4, max: 400_000_000 }));
  fc.assert(
    fc.property(sizes, (blocks) => {
      const end = blocks * BLOCK;
      const run = runOf(end);
      const places = placesBefore(run);
      assert.is(run.offset + run.length, end);
      assert.ok(run.length <= Math.max(256 * MIB, end / 1024) && run.length > 0 && run.length % BLOCK === 0);
      assert.is(places[0], 0);
      assert.is(places.at(-1), run.offset - BLOCK);
      assert.ok(places.length < 1200);
      for (const [index, place] of places.entries()) {
        assert.is(place % BLOCK, 0);
        if (index > 0) assert.ok(place > (places[index - 1] ?? 0) && place - (places[index - 1] ?? 0) <= run.length);
      }
    }),
  );
  // What is said of them in the code.
  assert.is(runOf(128e9).length, 256 * MIB);
  assert.ok(placesBefore(runOf(32e9)).length < 330);
  assert.ok(placesBefore(runOf(128e9)).length < 520);
});

test('the search ends, and at a MiB', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 28), fc.nat(2 ** 25), fc.double({ min: 0, max: 1, noNaN: true }), (from, gap, where) => {
      let [low, high] = [from * BLOCK, (from + 1 + gap) * BLOCK];
      const real = low + BLOCK + Math.floor(where * gap) * BLOCK;
      for (let steps = 0; ; steps++) {
        const places = placesBetween(low, high);
        if (places.length === 0) break;
        assert.ok(steps < 4 && places.length <= 63);
        for (const place of places) {
          assert.ok(place > low && place < high && (place + BLOCK) % GRAIN === 0);
        }
        const right = places.filter((place) => place + BLOCK <= real);
        low = right.at(-1) ?? low;
        high = places[right.length] ?? high;
      }
      assert.ok(low + BLOCK <= real && real <= high && high - low <= GRAIN);
    }),
  );
});

test('periods: all lengths in whole sectors from a MiB on, the longest first', () => {
  assert.equal(
    periodsOf(12 * MIB),
    [12, 6, 4, 3, 2, 1.5, 1].map((count) => count * MIB),
  );
  assert.equal(periodsOf(SECTOR), []);
});

test('conclusions: right beyond what is wrong is damage, and so is wrong within the run; nothing right beyond is an end', () => {
  const run = { offset: 8 * MIB, length: 4 * MIB, wrongBytes: 0 };
  const wrong = { offset: 4 * MIB, length: BLOCK, what: 'blank' } as const;
  assert.is(conclude({ right: [0], wrong: [], run }).state, 'right');
  assert.is(conclude({ right: [0, 5 * MIB], wrong: [wrong], run }).state, 'damaged');
  assert.is(conclude({ right: [0], wrong: [wrong], run }).state, 'damaged');
  const lost = { offset: run.offset, length: 3 * MIB, what: 'blank' } as const;
  assert.equal(conclude({ right: [0], wrong: [wrong, lost], run: { ...run, wrongBytes: 3 * MIB } }), {
    state: 'ends',
    lastRight: 0,
    first: wrong,
    cached: true,
  });
  const flip = { offset: 9 * MIB, length: SECTOR, what: 'changed' } as const;
  assert.is(conclude({ right: [0], wrong: [flip], run: { ...run, wrongBytes: SECTOR } }).state, 'damaged');
});

const sectors = (min: number, max: number): fc.Arbitrary<number> =>
  fc.integer({ min: min / SECTOR, max: max / SECTOR }).map((count) => count * SECTOR);
const sizes = fc.oneof(fc.constant(SIZE), sectors(4 * MIB, SIZE));
const anyFake = sizes.chain((size) =>
  fc.record({
    size: fc.constant(size),
    real: fc.oneof(
      sectors(GRAIN, size - SECTOR),
      fc.integer({ min: 1, max: Math.ceil(size / MIB) - 1 }).map((count) => count * MIB),
    ),
    beyond: fc.constantFrom<FakeCard['beyond'][]>(
      'wraps',
      'zeros',
      'noise',
      'fails',
      'fails to read',
      'fails to write',
    ),
  }),
);

test('any fake is found, whatever it has and whatever it does with the rest', async () => {
  await fc.assert(
    fc.asyncProperty(anyFake, async (card) => {
      // An honest card's last bytes, too few for a block, are not looked at.
      fc.pre(card.real < card.size - (card.size % BLOCK));
      const { verdict, real = -1, kind, firstWrong, emptied } = await probe(card);
      if (card.size - real <= GRAIN && card.beyond !== 'wraps') {
        // Nobody lies about so little.
        assert.ok(verdict === 'damaged' && real <= card.real);
        return;
      }
      assert.is(verdict, 'fake');
      const kinds = { wraps: 'wraps', zeros: 'loses', noise: 'loses' } as const;
      assert.is(kind, card.beyond in kinds ? kinds[card.beyond as keyof typeof kinds] : 'fails');
      if (card.beyond === 'wraps') assert.is(real, card.real);
      else assert.ok(real <= card.real && card.real - real < GRAIN, `${real}`);
      assert.ok((firstWrong?.offset ?? 0) >= real && (firstWrong?.offset ?? 0) <= card.real + GRAIN);
      assert.ok(emptied);
    }),
    { numRuns: 60 },
  );
});

test('so is one that keeps the last of what it has no memory for, if only it is less than the run', async () => {
  const cached = anyFake
    .filter(({ beyond, size, real }) => (beyond === 'zeros' || beyond === 'noise') && real < size / 2)
    .chain((card) => sectors(SECTOR, runOf(card.size).length - BLOCK).map((cache) => ({ ...card, cache })));
  await fc.assert(
    fc.asyncProperty(cached, async (card) => {
      const { verdict, real = -1, kind } = await probe(card);
      assert.equal([verdict, kind], ['fake', 'loses']);
      assert.ok(real <= card.real && card.real - real < GRAIN, `${real}`);
    }),
    { numRuns: 12 },
  );
});

test('and one whose addresses begin anew after more than it has', async () => {
  const chains = fc.record({
    period: fc.constantFrom(2, 4).map((count) => count * MIB),
    part: fc.double({ min: 0.5, max: 0.99, noNaN: true }),
  });
  await fc.assert(
    fc.asyncProperty(chains, async ({ period, part }) => {
      const has = Math.floor((part * period) / SECTOR) * SECTOR;
      const { verdict, real = -1, kind } = await probe({ size: SIZE, real: has, beyond: 'zeros', period });
      assert.equal([verdict, kind], ['fake', 'loses']);
      assert.ok(real <= has && has - real < GRAIN, `${real}`);
    }),
    { numRuns: 10 },
  );
});

test('no honest card is accused; its speed is measured, and it is emptied', async () => {
  await fc.assert(
    fc.asyncProperty(sizes, fc.boolean(), async (size, full) => {
      const result = await probe({ size, real: size, beyond: 'fails' }, full);
      assert.is(result.verdict, 'good');
      assert.is(result.real, size);
      assert.ok(result.emptied && result.bad.length === 0 && result.slips === 0);
      for (const number of Object.values(result.speed ?? { none: 0 }))
        assert.ok(typeof number === 'string' || number > 0);
      assert.is(result.everyBlock?.bytes, full ? size - (size % BLOCK) : undefined);
    }),
    { numRuns: 12 },
  );
});

test('--full finds every bad sector and every flipped bit, and says where', async () => {
  const honest = { size: SIZE, real: SIZE, beyond: 'fails' as const };
  const places = fc.uniqueArray(fc.integer({ min: 0, max: SIZE / SECTOR - 1 }), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(places, fc.boolean(), async (numbers, flip) => {
      const wanted = numbers.map((number) => number * SECTOR).sort((a, b) => a - b);
      // Block 0 failing is a card that is dead.
      fc.pre(flip || (wanted[0] ?? 0) >= BLOCK);
      const { verdict, bad, everyBlock } = await probe(
        { ...honest, ...(flip ? { flips: wanted.map((place) => place + 77) } : { bad: wanted }) },
        true,
      );
      assert.is(verdict, 'damaged');
      const grain = flip ? SECTOR : BLOCK;
      const units = new Set(wanted.map((place) => Math.floor(place / grain)));
      assert.is(everyBlock?.wrongBytes, units.size * grain);
      for (const place of wanted)
        assert.ok(bad.some(({ offset, length }) => offset <= place && place < offset + length));
      assert.ok(bad.every(({ what }) => what === (flip ? 'changed' : 'error')));
    }),
    { numRuns: 12 },
  );
});

test('a class is reached with all three of its numbers', () => {
  const good = { sequentialWrite: 25e6, sequentialRead: 90e6, randomWrite: 700, randomRead: 2500 };
  assert.is(classOf(good), 'A1');
  assert.is(classOf({ ...good, randomWrite: 2000, randomRead: 4000 }), 'A2');
  assert.is(classOf({ ...good, randomWrite: 499 }), 'none');
  assert.is(classOf({ ...good, sequentialWrite: 9e6 }), 'none');
});

test('a card that dies is a result, with the place; it is not taken for a fake', async () => {
  for (const [diesAfter, full] of [
    [0, false],
    [MIB, false],
    [2 * MIB, false],
    [9 * MIB, true],
  ] as const) {
    const { verdict, problem } = await probe({ size: SIZE, real: SIZE, beyond: 'fails', diesAfter }, full);
    assert.is(verdict, 'failed');
    assert.match(problem ?? '', /^failed at byte \d+ \(sector \d+\): EIO$/);
  }
});

test('a counterfeit of 128 GB is probed with little: some hundred blocks, and the run no more often than it must be', async () => {
  const { ask, orders, written } = askFakeCard({ size: 128 * 2 ** 30, real: 64 * MIB, beyond: 'zeros' });
  const { verdict, real } = await probeThrough(ask, { name: 'card', size: 128 * 2 ** 30, full: false }, quiet);
  assert.equal([verdict, real], ['fake', 64 * MIB]);
  assert.is(orders.filter(({ op }) => op === 'fill').length, 1);
  assert.ok(written() < 270 * MIB);
});

test('the edge is found in few steps on large cards, too; where there is a cache, each drives it out', async () => {
  const large = fc.record({
    size: fc.integer({ min: 512, max: 2_000_000 }).map((count) => count * MIB),
    real: sectors(GRAIN, 40 * MIB),
    beyond: fc.constantFrom<FakeCard['beyond'][]>('fails', 'fails to write'),
  });
  await fc.assert(
    fc.asyncProperty(large, async (card) => {
      const { verdict, real = -1 } = await probe(card);
      assert.is(verdict, 'fake');
      assert.ok(real <= card.real && card.real - real < GRAIN, `${real}`);
    }),
    { numRuns: 12 },
  );
  const { ask, orders } = askFakeCard({
    size: 300 * MIB,
    real: Math.floor(100.3 * 2048) * SECTOR,
    beyond: 'noise',
    cache: 8 * MIB,
  });
  const { verdict, real } = await probeThrough(ask, { name: 'card', size: 300 * MIB, full: false }, quiet);
  assert.equal([verdict, real], ['fake', 100 * MIB]);
  assert.is(orders.filter(({ op }) => op === 'fill').length, 2);
});

test.run();
