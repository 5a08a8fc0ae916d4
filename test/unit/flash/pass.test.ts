// How much a card is given at a time: pieces that lie one after the other, as many as its block holds, and no others.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fittedBlock, queueOf } from '../../../src/host/card-upkeep.ts';
import type { Card } from '../../../src/flash/write/card.ts';
import { adjacent, CHUNK } from '../../../src/flash/write/chunks.ts';
import { feed } from '../../../src/flash/write/pass.ts';

const piece = (at: number, slot: number, length = CHUNK) => ({ offset: at * CHUNK, length, slot, digest: `${at}` });

test('pieces go together that follow one another on the card and in the ring, within a block', () => {
  const row = [piece(5, 1), piece(6, 2), piece(7, 3), piece(8, 4), piece(9, 5)];
  assert.is(adjacent(row, 4 * CHUNK), 4);
  assert.is(adjacent(row, CHUNK), 1, 'a block of one piece');
  assert.is(adjacent(row, 1), 1, 'the first one always');
  assert.is(adjacent([], CHUNK), 0);
  assert.is(adjacent([piece(5, 1), piece(7, 2)], 4 * CHUNK), 1, 'a hole on the card');
  assert.is(adjacent([piece(5, 11), piece(6, 0)], 4 * CHUNK), 1, 'the end of the ring');
  assert.is(adjacent([piece(5, 1, 4096), { ...piece(5, 2), offset: 5 * CHUNK + 4096 }], 4 * CHUNK), 1, 'a short piece');
  assert.is(adjacent([piece(5, 1), piece(6, 2, 4096)], 4 * CHUNK), 2, 'a short one at the end');
});

test('a block fills the queue of its device, to 4 MiB', async () => {
  // usb-storage has one command at a time, of 240 sectors below USB 3, of 2048 with it (drivers/usb/storage/scsiglue.c).
  assert.is(fittedBlock({ request: 120, depth: 1, optimal: 0 }), 120 * 1024);
  assert.is(fittedBlock({ request: 1024, depth: 1, optimal: 0 }), 1 << 20);
  assert.is(fittedBlock({ request: 512, depth: 30, optimal: 0 }), 4 << 20, 'UAS');
  assert.is(fittedBlock({ request: 120, depth: 1, optimal: 2 << 20 }), 2 << 20);
  assert.is(await queueOf('/dev/null'), undefined, 'no disk');
});

for (const [pieces, orders] of [
  [4, [1, 1, 4, 2]],
  [1, [1, 1, 1, 1, 1, 1, 1, 1]],
] as const) {
  test(`a card whose block is ${pieces} pieces gets what has come meanwhile ${pieces} at a time`, async () => {
    const asked: number[] = [];
    const answers: (() => void)[] = [];
    const noted: string[] = [];
    const card = {
      write: (_ring, chunks) => {
        asked.push(chunks.length);
        return new Promise((done) => answers.push(() => done(chunks.map(({ digest }) => `${digest}!`))));
      },
    } satisfies Pick<Card, 'write'> as unknown as Card;
    const [fed] = feed(
      {
        source: { name: 'image', kind: 'file', packing: 'none', rereadable: true },
        ranges: undefined,
        signal: new AbortController().signal,
        startReader: (_job, events) => {
          queueMicrotask(() => {
            for (let at = 0; at < 8; at++) events.chunk(piece(at, at));
            events.end(8 * CHUNK);
          });
          return { ring: new Uint8Array(new SharedArrayBuffer(8)), slots: 8, free() {}, stop: async () => {} };
        },
      },
      [{ card, block: pieces * CHUNK, wants: () => true, noted: (_, digest) => noted.push(digest) }],
    );
    while (noted.length < 8) {
      await new Promise((resolve) => setImmediate(resolve));
      answers.shift()?.();
    }
    assert.is(await fed, 8 * CHUNK);
    assert.equal(asked, orders);
    assert.equal(noted, ['0!', '1!', '2!', '3!', '4!', '5!', '6!', '7!']);
  });
}

test.run();
