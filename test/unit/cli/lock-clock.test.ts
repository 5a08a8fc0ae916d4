// A computer's clock may have been ahead when a lock, or the time kept beside the cache, was written.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readClock } from '../../../src/cli/lock-clock.ts';

const at = (hours: number): string => new Date(Date.now() + hours * 3_600_000).toISOString();

test('the first time stays, unless it is of the future', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-clock-'));
  try {
    const file = path.join(folder, 'bases', 'digest');
    const [yesterday, tomorrow, now] = [at(-24), at(24), at(0)];
    assert.is(await readClock(file, yesterday), yesterday);
    assert.is(await readClock(file, now), yesterday);
    await writeFile(file, tomorrow);
    assert.is(await readClock(file, now), now);
    assert.is(await readFile(file, 'utf8'), now);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.run();
