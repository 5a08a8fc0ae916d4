// The engine on files: whatever the image, what was there before and where it was stopped, a resumed flash is equal where it must be.
import { open, readFile, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { digestOfCard } from '../../../src/flash/card-digest.ts';
import { sha256 } from '../../../src/lib/digest.ts';
import { BLOCK, CHUNK, totalOf, type CheckedRange } from '../../../src/flash/write/chunks.ts';
import { stampOf } from '../../../src/lib/stamp.ts';
import type { FlashedCard, FlashEvent, FlashJob, Patch } from '../../../src/flash/write/types.ts';
import { writeCards } from '../../../src/flash/write/write-cards.ts';
import { PiimgError } from '../../../src/lib/errors.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const folder = temporaryFolder();
const image = path.join(folder, 'image');
const card = path.join(folder, 'card');

interface Flash {
  bytes: Buffer;
  size: number;
  ranges?: CheckedRange[] | undefined;
  /** Of the job; by default the length of `bytes`. */
  told?: number;
  least?: number;
  patches?: Patch[];
  block?: number;
  resumeFrom?: number;
  mode?: FlashJob['mode'];
  wipe?: boolean;
  stopAt?: number;
  whileWriting?: () => Promise<void>;
}

/** Flashes `bytes` onto the file `card`; stops when so many bytes are done. */
async function flash({
  bytes,
  size,
  told = bytes.length,
  least,
  ranges,
  patches = [],
  block = CHUNK,
  resumeFrom = 0,
  mode = 'write+verify',
  wipe = false,
  stopAt = Infinity,
  whileWriting,
}: Flash): Promise<{
  flashed: FlashedCard;
  events: FlashEvent[];
}> {
  await writeFile(image, bytes);
  const stamp = stampOf(await stat(image));
  const handle = await open(card, 'r+');
  const stop = new AbortController();
  const events: FlashEvent[] = [];
  let changed: Promise<void> | undefined;
  try {
    const [flashed] = await writeCards(
      {
        source: { name: image, kind: 'file', packing: 'none', size: bytes.length, rereadable: true, stamp },
        ranges,
        size: told,
        least,
        mode,
        wipe,
        cards: [{ name: 'card', fd: handle.fd, size, block, patches, resumeFrom }],
      },
      (_, event) => {
        events.push(event);
        if (whileWriting) changed ??= whileWriting();
        if (event.type === 'progress' && event.done >= stopAt) stop.abort(new Error('stopped'));
      },
      { signal: stop.signal },
    );
    if (flashed === undefined) throw new Error('nothing flashed');
    return { flashed, events };
  } finally {
    await handle.close();
  }
}

/** Deterministic noise. */
function noise(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed | 1;
  for (let at = 0; at + 4 <= length; at += 4)
    bytes.writeUInt32LE((state = Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0, at);
  return bytes;
}

test('the copy of a card that is not whole is told as that', async () => {
  await writeFile(card, noise(8192, 1));
  const handle = await open(card);
  try {
    const reading = digestOfCard(
      handle,
      { ranges: [{ offset: 4096, length: 8192 }], size: 1 << 20 },
      () => {},
      new AbortController().signal,
    );
    const said = await reading.catch((error: unknown) => error);
    assert.instance(said, PiimgError);
    assert.match((said as Error).message, 'ends at byte 8192');
  } finally {
    await handle.close();
  }
});

const MIB = 1 << 20;
const scenario = fc.record({
  blocks: fc.integer({ min: 1, max: (9 * MIB) / BLOCK }),
  odd: fc.constantFrom(0, 512, 1000),
  spare: fc.nat(3 * MIB),
  mapped: fc.boolean(),
  wipe: fc.boolean(),
  seed: fc.nat(1e9),
  stopAt: fc.double({ min: 0, max: 1.2, noNaN: true }),
  liar: fc.boolean(),
  patchAt: fc.nat(2000),
  /** A run of zeros in the image: where it begins, in blocks, and how many. */
  zeros: fc.tuple(fc.nat(2000), fc.nat(800)),
  /** What the card forgets when its power goes, which it had only in its cache: where it begins, in blocks, and how many. */
  lost: fc.tuple(fc.nat(2000), fc.nat(400)),
  /** Pieces at a time. */
  atATime: fc.integer({ min: 1, max: 4 }),
});

test('any image, any old card, stopped anywhere and resumed: equal on every mapped block, everywhere without a map or with --wipe', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async (drawn) => {
      const { blocks, odd, spare, mapped, wipe, seed, stopAt, liar, patchAt, zeros, lost, atATime } = drawn;
      const bytes = noise(blocks * BLOCK - (blocks > 1 ? odd : 0), seed);
      const [from, to] = [zeros[0] * BLOCK, (zeros[0] + zeros[1]) * BLOCK].map((at) => Math.min(at, bytes.length));
      bytes.fill(0, from, to);
      const size = Math.ceil((bytes.length + spare) / 512) * 512;
      const old = noise(size, seed + 1);
      await writeFile(card, old);
      // The first block is always mapped, as block maps have it.
      const cut = Math.floor(blocks / 3) * BLOCK;
      const ranges =
        mapped && cut > 0
          ? [
              { offset: 0, length: cut },
              { offset: 2 * cut, length: blocks * BLOCK - 2 * cut },
            ].filter(({ length }) => length > 0)
          : undefined;
      const inImage = ranges?.map(({ offset, length }) => ({
        offset,
        length: Math.min(length, bytes.length - offset),
      }));
      const place = patchAt * BLOCK;
      const isMapped = (inImage ?? [{ offset: 0, length: bytes.length }]).some(
        ({ offset, length }) => place >= offset && place + BLOCK <= offset + length,
      );
      const patches = isMapped ? [{ offset: place, length: BLOCK, content: Buffer.alloc(BLOCK, 'p') }] : [];
      const total = totalOf(inImage ?? [{ offset: 0, length: bytes.length }]);
      const block = atATime * CHUNK;
      const first = await flash({ bytes, size, ranges: inImage, patches, block, wipe, stopAt: stopAt * 2 * total });
      const half = await readFile(card);
      if (first.flashed.verdict === 'stopped')
        assert.ok(
          half.subarray(0, Math.min(512, size)).every((byte) => byte === 0),
          'it would boot',
        );
      const [gone, back] = [lost[0] * BLOCK, (lost[0] + lost[1]) * BLOCK];
      old.subarray(gone, back).copy(half, gone);
      await writeFile(card, half);
      const upTo = Math.max(
        0,
        ...first.events.map((event) => (event.type === 'progress' && event.phase === 'writing' ? event.upTo : 0)),
      );
      // A note may promise more than there is, as of another card.
      const { flashed } = await flash({
        block,
        bytes,
        size,
        ranges: inImage,
        patches,
        wipe,
        resumeFrom: liar ? Infinity : upTo,
      });
      assert.is(flashed.verdict, 'verified', flashed.problem);
      const found = await readFile(card);
      const wanted = Buffer.from(old);
      if (wipe) wanted.fill(0);
      for (const { offset, length } of inImage ?? [{ offset: 0, length: bytes.length }])
        bytes.copy(wanted, offset, offset, offset + length);
      for (const { offset, content } of patches) content.copy(wanted, offset);
      const end = Math.min(size, Math.ceil(bytes.length / BLOCK) * BLOCK);
      wanted.fill(0, bytes.length, Math.max(bytes.length, end));
      assert.ok(found.equals(wanted), 'it is not equal');
    }),
    { numRuns: Number(process.env['PIIMG_TEST_RUNS'] ?? 8) },
  );
});

test('a note of more than there is, of an image that does not end on a block: its end is written all the same', async () => {
  const bytes = noise(MIB + BLOCK - 512, 9);
  await writeFile(card, Buffer.alloc(MIB + BLOCK, 1));
  const { flashed } = await flash({ bytes, size: MIB + BLOCK, resumeFrom: Infinity });
  assert.is(flashed.verdict, 'verified', flashed.problem);
  assert.ok((await readFile(card)).subarray(0, bytes.length).equals(bytes));
});

test('an image whose end is not mapped is as long as it is all the same', async () => {
  const bytes = noise(3 * MIB, 10);
  await writeFile(card, Buffer.alloc(4 * MIB));
  const { flashed } = await flash({ bytes, size: 4 * MIB, ranges: [{ offset: 0, length: MIB }] });
  assert.is(flashed.verdict, 'verified', flashed.problem);
  assert.is(flashed.imageSize, 3 * MIB);
});

test('comparing finds a byte that differs, passes over what the card may have of its own, and writes nothing', async () => {
  const bytes = noise(9 * MIB, 5);
  await writeFile(card, bytes);
  const own = [{ offset: 5 * MIB, length: BLOCK }];
  const before = await readFile(card);
  assert.is((await flash({ bytes, size: bytes.length, mode: 'verify' })).flashed.verdict, 'verified');
  const handle = await open(card, 'r+');
  await handle.write(Buffer.from([1, 2, 3]), 0, 3, 5 * MIB + 100);
  await handle.close();
  const { flashed } = await flash({ bytes, size: bytes.length, mode: 'verify' });
  assert.match(flashed.problem ?? '', /^differs from the image in one place, first between byte 5242880 and 6291456/);
  assert.is((await flash({ bytes, size: bytes.length, mode: 'verify', patches: own })).flashed.verdict, 'verified');
  const after = await readFile(card);
  before.copy(after, 5 * MIB, 5 * MIB, 5 * MIB + BLOCK);
  assert.ok(after.equals(before));
});

test('a file that becomes shorter, or another one of its size, while it is read is not taken for written', async () => {
  // More than the ring has room for: it is not all read before the first piece is on the card.
  const bytes = noise(24 * MIB, 9);
  await writeFile(card, Buffer.alloc(24 * MIB, 1));
  const other = path.join(folder, 'other');
  await writeFile(other, noise(24 * MIB, 10));
  for (const whileWriting of [() => writeFile(image, bytes.subarray(0, 5 * MIB)), () => rename(other, image)]) {
    const { flashed } = await flash({ bytes, size: 24 * MIB, whileWriting });
    assert.match(flashed.problem ?? '', /was changed while it was read; nothing boots/);
    assert.ok((await readFile(card)).subarray(0, BLOCK).every((byte) => byte === 0));
  }
});

test('an image that is longer than the card fails, and is told where the card ends', async () => {
  const bytes = noise(6 * MIB, 7);
  await writeFile(card, Buffer.alloc(5 * MIB));
  const { flashed } = await flash({ bytes, size: 5 * MIB });
  assert.is(flashed.verdict, 'failed');
  assert.match(flashed.problem ?? '', /the card ends before byte 5242880.*, or it was taken out/);
  assert.ok((await readFile(card)).subarray(0, BLOCK).every((byte) => byte === 0));
});

test('what a map has no checksum for may be any, what lies beside it may not', async () => {
  const bytes = noise(3 * MIB, 9);
  const ranges = [0, 1, 2].map((index): CheckedRange => {
    const range = { offset: index * MIB, length: MIB };
    const hex = sha256(bytes.subarray(range.offset, range.offset + MIB));
    return index === 1 ? range : { ...range, sum: { type: 'sha256', hex } };
  });
  for (const [index, verdict] of (['failed', 'verified', 'failed'] as const).entries()) {
    await writeFile(card, Buffer.alloc(3 * MIB, 1));
    const changed = Buffer.from(bytes);
    const last = (index + 1) * MIB - 1;
    changed.writeUInt8(changed.readUInt8(last) ^ 1, last);
    const { flashed } = await flash({ bytes: changed, size: 3 * MIB, ranges });
    assert.is(flashed.verdict, verdict, `range ${index}: ${flashed.problem}`);
    if (verdict === 'verified') assert.ok((await readFile(card)).equals(changed));
  }
});

test('an image that is not what its map says, or is cut off, fails; the card does not boot', async () => {
  const bytes = noise(6 * MIB, 8);
  await writeFile(card, Buffer.alloc(8 * MIB, 1));
  const wrong = [{ offset: 0, length: 6 * MIB, sum: { type: 'sha256', hex: '0'.repeat(64) } }];
  const other = await flash({ bytes, size: 8 * MIB, ranges: wrong });
  assert.match(other.flashed.problem ?? '', /is not what its block map says, between byte 0 and 6291456/);
  const cut = await flash({ bytes, size: 8 * MIB, ranges: [{ offset: 0, length: 7 * MIB }] });
  assert.match(cut.flashed.problem ?? '', /is cut off: it ends at byte 6291456/);
  const short = await flash({ bytes, size: 8 * MIB, told: 7 * MIB });
  assert.match(short.flashed.problem ?? '', /is cut off: it ends at byte 6291456, not 7340032/);
  const half = await flash({ bytes, size: 8 * MIB, least: 6 * MIB + 1 });
  assert.match(half.flashed.problem ?? '', /is cut off: it ends at byte 6291456, not 6291457/);
  assert.is((await flash({ bytes, size: 8 * MIB, least: 6 * MIB })).flashed.verdict, 'verified');
  await flash({ bytes, size: 8 * MIB, least: 6 * MIB + 1 });
  assert.ok((await readFile(card)).subarray(0, BLOCK).every((byte) => byte === 0));
});

test.run();
