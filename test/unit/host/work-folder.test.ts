// Folders of commands that were killed are removed by the next one; nobody else's.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeWorkFolder } from '../../../src/host/work-folder.ts';

test('what a killed command has left goes at the next start; what is in use, or not ours, stays', async () => {
  const place = await mkdtemp(path.join(tmpdir(), 'piimg-places-'));
  const ended = spawn('true');
  await once(ended, 'exit');
  const [gone, stays] = [
    [`piimg-boot-${ended.pid}-aB3dE6`, `piimg-ssh-${ended.pid}-aB3dE6`, `piimg-wire-${ended.pid}-aB3dE6`],
    [
      `piimg-boot-${process.pid}-aB3dE6`,
      `piimg-other-${ended.pid}-aB3dE6`,
      `piimg-boot-${ended.pid}`,
      'piimg-boot-aB3dE6',
    ],
  ];
  for (const name of [...gone, ...stays]) {
    await mkdir(path.join(place, name));
    await writeFile(path.join(place, name, 'card.qcow2'), 'a card');
  }
  const { TMPDIR } = process.env;
  process.env.TMPDIR = place;
  const made = await makeWorkFolder('boot');
  if (TMPDIR === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = TMPDIR;
  assert.match(path.basename(made), new RegExp(`^piimg-boot-${process.pid}-`));
  assert.equal((await readdir(place)).sort(), [...stays, path.basename(made)].sort());
  await rm(place, { recursive: true });
});

test.run();
