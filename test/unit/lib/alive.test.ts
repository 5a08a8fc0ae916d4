// Work in progress is named after its process: what is left of one that is gone.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../../src/host/exec.ts';
import { abandoned, isAlive } from '../../../src/lib/alive.ts';

test('this process is alive, one that has ended is not', async () => {
  const ended = run(['true']);
  await ended;
  assert.ok(isAlive(process.pid));
  // Belongs to somebody else, when this is not root.
  assert.ok(isAlive(1));
  assert.not(isAlive(ended.pid ?? 0));
});

test('only names of processes that are gone are abandoned', async () => {
  const ended = run(['true']);
  await ended;
  const names = [`${ended.pid}-abc`, `${process.pid}-abc`, 'unnamed', `x-${ended.pid}-abc`];
  assert.equal(abandoned(names, /^(\d+)-/), [`${ended.pid}-abc`]);
  assert.equal(abandoned([`web.img.${ended.pid}.part`, 'web.img.part'], /\.(\d+)\.part$/), [
    `web.img.${ended.pid}.part`,
  ]);
});

test.run();
