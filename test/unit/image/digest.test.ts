// Ranges copied and summed up by threads, and what counts as damage of a kept file system.
import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { crcOfRanges } from '../../../src/image/digest.ts';
import { stageDamage } from '../../../src/image/stage.ts';
import { digestOf } from '../../../src/lib/digest.ts';
import { withFolder } from '../cli/piimg.ts';

const BYTES = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i % 251));
const RANGES = [
  { offset: 0, length: 4096 },
  { offset: 8192, length: 40_960 },
  { offset: 65_536, length: 20_000 },
];

const hex = (bytes: Buffer): string => crc32(bytes).toString(16).padStart(8, '0');
const part = (bytes: Buffer, { offset, length }: { offset: number; length: number }): Buffer =>
  bytes.subarray(offset, offset + length);

/** A kept file system of these bytes, and the folder's name, which is its key. */
async function withStage(work: (dir: string, folder: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const dir = path.join(folder, 'key');
    await mkdir(dir);
    await writeFile(path.join(dir, 'stage.img'), BYTES);
    const index = {
      key: 'key',
      size: BYTES.length,
      ranges: RANGES,
      crc32: RANGES.map((range) => hex(part(BYTES, range))),
    };
    await writeFile(path.join(dir, 'stage.json'), JSON.stringify({ ...index, digest: digestOf(index) }));
    await work(dir, folder);
  });
}

test('ranges arrive at their places, with their checksums, and nothing else does', () =>
  withFolder(async (folder) => {
    const [from, to] = [path.join(folder, 'from'), path.join(folder, 'to')];
    await writeFile(from, BYTES);
    await writeFile(to, '');
    await truncate(to, BYTES.length);
    assert.equal(
      await crcOfRanges(from, RANGES, to),
      RANGES.map((range) => hex(part(BYTES, range))),
    );
    const expected = Buffer.alloc(BYTES.length);
    for (const range of RANGES) part(BYTES, range).copy(expected, range.offset);
    assert.ok(expected.equals(await readFile(to)));
    assert.equal(await crcOfRanges(from, []), []);
  }));

test('a full disk is told as such', () =>
  withFolder(async (folder) => {
    const from = path.join(folder, 'from');
    await writeFile(from, BYTES);
    const error = await crcOfRanges(from, RANGES, '/dev/full').catch((thrown: NodeJS.ErrnoException) => thrown);
    assert.equal(error instanceof Error && [error.code, error.syscall], ['ENOSPC', 'write']);
  }));

test('a kept file system is damaged when it changed or is cut, not when its copy has no place', () =>
  withStage(async (dir, folder) => {
    assert.is(await stageDamage(dir, 'key'), undefined);
    const nowhere = path.join(folder, 'missing/copy');
    const error = await stageDamage(dir, 'key', nowhere).catch((thrown: NodeJS.ErrnoException) => thrown);
    assert.equal(error instanceof Error && [error.code, error.path], ['ENOENT', nowhere]);
    const changed = Buffer.from(BYTES);
    changed[9000] = 255;
    await writeFile(path.join(dir, 'stage.img'), changed);
    assert.is(await stageDamage(dir, 'key'), 'its checksums differ');
    await truncate(path.join(dir, 'stage.img'), 70_000);
    assert.is(await stageDamage(dir, 'key'), 'its index cannot be read');
  }));

test.run();
