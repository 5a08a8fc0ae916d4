// A copy of an image has the same bytes, the same holes, and stops when it is told to.
import { open, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../../src/host/exec.ts';
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

const failure = (work: Promise<unknown>): Promise<string> => work.then(() => 'none', String);

test('all bytes are copied, holes take no room, and nobody else may read it', async () => {
  const folder = temporaryFolder();
  const from = await sparse(folder);
  const to = join(folder, 'to');
  await copyImage(from, to);
  assert.ok((await readFile(to)).equals(await readFile(from)));
  const { blocks, mode } = await stat(to);
  assert.ok(blocks * 512 <= 64 * 1024);
  assert.is(mode & 0o777, 0o600);
});

test('an end of zeros, and of no whole sector, is part of the size', async () => {
  const folder = temporaryFolder();
  await writeFile(join(folder, 'from'), Buffer.alloc(10_001));
  await copyImage(join(folder, 'from'), join(folder, 'to'));
  assert.equal(await readFile(join(folder, 'to')), Buffer.alloc(10_001));
});

/** Half a GiB, and what happens to it once some of it is copied. */
async function amid(meanwhile: (file: string) => Promise<void> | void, signal?: AbortSignal): Promise<string> {
  const folder = temporaryFolder();
  const [from, to] = [join(folder, 'from'), join(folder, 'to')];
  await run(['dd', 'if=/dev/zero', `of=${from}`, 'bs=1M', 'count=512', 'status=none']);
  const copied = failure(copyImage(from, to, { ...(signal && { signal }) }));
  while (((await stat(to).catch(() => undefined))?.blocks ?? 0) === 0) await sleep(2);
  assert.ok((await stat(to)).blocks < 512 * 2048, 'it was too quick');
  await meanwhile(from);
  return copied;
}

test('an abort ends it with its reason', async () => {
  const stop = new AbortController();
  assert.is(await amid(() => stop.abort(new Error('enough')), stop.signal), 'Error: enough');
  const before = AbortSignal.abort(new Error('enough'));
  const folder = temporaryFolder();
  assert.match(await failure(copyImage(await sparse(folder), join(folder, 'to'), { signal: before })), 'enough');
});

test('an image that becomes shorter, or that another one takes the place of, is told', async () => {
  for (const change of [(file: string) => truncate(file, MIB), (file: string) => writeFile(file, 'x', { flag: 'a' })])
    assert.match(await amid(change), /from was changed while it was copied$/);
});

test.run();
