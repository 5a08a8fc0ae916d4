// Reads of any bytes where only whole blocks in memory of whole blocks are taken.
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { wholeBlockReads } from '../../../src/cli/flashing/opener.ts';
import { BLOCK } from '../../../src/flash/write/chunks.ts';
import type { Positioned } from '../../../src/image/ranges.ts';

const bytes = Buffer.from(Array.from({ length: 3 * 1024 * 1024 + 512 }, (_, i) => (i * 7 + (i >> 8)) & 0xff));

/** A disk of those bytes, as direct I/O has it; one that reads fewer than were asked for, as it may. */
const disk = (most: number): Positioned => ({
  async read(buffer, offset, length, position) {
    assert.equal([position % BLOCK, length % BLOCK, (buffer.byteOffset + offset) % BLOCK], [0, 0, 0]);
    const piece = bytes.subarray(position, position + Math.min(length, most));
    buffer.set(piece, offset);
    return { bytesRead: piece.length };
  },
});

test('any bytes, up to the end of a disk that is no multiple of a block, and many at once', async () => {
  const place = fc.record({ position: fc.nat(bytes.length + BLOCK), length: fc.nat(2 * 1024 * 1024) });
  const check = fc.asyncProperty(
    fc.array(place, { minLength: 1, maxLength: 4 }),
    fc.constantFrom(BLOCK, 3 * BLOCK, Infinity),
    async (places, most) => {
      const file = wholeBlockReads(disk(most));
      await Promise.all(
        places.map(async ({ position, length }) => {
          const into = Buffer.alloc(length + 2);
          const { bytesRead } = await file.read(into, 1, length, position);
          const wanted = bytes.subarray(position, position + length);
          assert.is(bytesRead, wanted.length);
          assert.ok(into.equals(Buffer.concat([Buffer.alloc(1), wanted, Buffer.alloc(length - wanted.length + 1)])));
        }),
      );
    },
  );
  await fc.assert(check, { numRuns: 30, endOnFailure: true });
});

test('a read that fails keeps no other from being tried', async () => {
  let fails = true;
  const file = wholeBlockReads({
    read: async (...where) => (fails ? Promise.reject(new Error('EIO')) : disk(Infinity).read(...where)),
  });
  const first = await file.read(Buffer.alloc(1), 0, 1, 5).catch((error: unknown) => String(error));
  assert.is(first, 'Error: EIO');
  fails = false;
  const one = Buffer.alloc(1);
  await file.read(one, 0, 1, 5);
  assert.is(one[0], bytes[5]);
});

test.run();
