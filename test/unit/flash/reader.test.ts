// A reading that begins in the middle of an image, for a card that has left another one: what the block map says counts all the same.
import { stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Source } from '../../../src/flash/source/source.ts';
import { stampOf } from '../../../src/lib/stamp.ts';
import type { CheckedRange } from '../../../src/flash/write/chunks.ts';
import { startReader } from '../../../src/flash/write/reader.ts';
import { sha256 } from '../../../src/lib/digest.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const MIB = 1 << 20;
const bytes = Buffer.alloc(6 * MIB, 'piimg');

/** Byte where each piece begins, and how it ended. */
async function read(source: Source, ranges: CheckedRange[], from: number): Promise<{ told: number[]; ended: string }> {
  const told: number[] = [];
  let stop = async (): Promise<void> => {};
  const ended = await new Promise<string>((resolve) => {
    const reader = startReader(
      { source, ranges, from, slots: 2 },
      {
        chunk: ({ offset, slot }) => {
          told.push(offset);
          reader.free(slot);
        },
        end: (size) => resolve(String(size)),
        error: ({ message }) => resolve(message),
      },
    );
    stop = () => reader.stop();
  });
  await stop();
  return { told, ended };
}

test('a range that was begun before is read from its beginning, for its checksum; only the rest of it is told', async () => {
  const name = path.join(temporaryFolder(), 'image');
  await writeFile(name, bytes);
  const stamp = stampOf(await stat(name));
  const file: Source = { name, kind: 'file', packing: 'none', size: bytes.length, rereadable: true, stamp };
  const range = { offset: MIB, length: 4 * MIB };
  const hex = sha256(bytes.subarray(MIB, 5 * MIB));
  // The second is read as a stream, for its own digest.
  for (const source of [file, { ...file, sha256: sha256(bytes) }]) {
    const right = [
      { offset: 0, length: 8192 },
      { ...range, sum: { type: 'sha256', hex } },
    ];
    assert.equal(await read(source, right, 3 * MIB), { told: [3 * MIB, 4 * MIB], ended: String(bytes.length) });
    const wrong = [{ ...range, sum: { type: 'sha256', hex: '0'.repeat(64) } }];
    const { ended } = await read(source, wrong, 3 * MIB);
    assert.match(ended, /is not what its block map says, between byte 1048576 and 5242880/);
  }
});

test.run();
