// A copy of an image has the same bytes, the same holes, and stops when it is told to.
import { open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { copyImage } from '../../../src/image/copy.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const MIB = 1 << 20;

/** A file of 9 MiB and a bit, with bytes at both sides of a 4 MiB boundary, in the last block, and holes between them. */
async function sparse(folder: string): Promise<string> {
  const file = join(folder, 'from');
  const handle = await open(file, 'w');
  await handle.write(Buffer.alloc(8192, 'a'), 0, 8192, 4 * MIB - 4096);
  await handle.write(Buffer.from('end'), 0, 3, 9 * MIB + 100);
  await handle.truncate(9 * MIB + 200);
  await handle.close();
  return file;
}

test('all bytes are copied, and holes take no room', async () => {
  const folder = temporaryFolder();
  const from = await sparse(folder);
  const done: number[] = [];
  const to = await open(join(folder, 'to'), 'w');
  await copyImage(from, to, { step: { update: ({ done: bytes }) => done.push(bytes ?? 0) } });
  await to.close();
  assert.ok((await readFile(join(folder, 'to'))).equals(await readFile(from)));
  assert.ok((await stat(join(folder, 'to'))).blocks * 512 <= 64 * 1024);
  assert.is(done.at(-1), 9 * MIB + 200);
});

test('an end of zeros is part of the size', async () => {
  const folder = temporaryFolder();
  await writeFile(join(folder, 'from'), Buffer.alloc(10_000));
  const to = await open(join(folder, 'to'), 'w');
  await copyImage(join(folder, 'from'), to);
  await to.close();
  assert.equal(await readFile(join(folder, 'to')), Buffer.alloc(10_000));
});

test('an abort ends it with its reason', async () => {
  const folder = temporaryFolder();
  const to = await open(join(folder, 'to'), 'w');
  const signal = AbortSignal.abort(new Error('enough'));
  const error: unknown = await copyImage(await sparse(folder), to, { signal }).catch((caught: unknown) => caught);
  await to.close();
  assert.is((error as Error).message, 'enough');
});

test.run();
