// `piimg result` on a card: what the machine wrote there, and why there may be nothing.
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mtools, seedImage } from '../../helpers/seed-image.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { piimg } from './piimg.ts';

const made = await seedImage();

const RESULT = {
  version: 1,
  status: 'failed',
  node: 'pi-lb1',
  role: 'lb',
  buildId: 'ab'.repeat(32),
  started: '2026-11-22T00:00:00.000Z',
  seconds: 12.4,
  steps: [
    { name: 'folder', kind: 'directory', state: 'applied', seconds: 0.01 },
    { name: 'upstreams', kind: 'template', state: 'failed', seconds: 0.2 },
    { name: 'restart', kind: 'unit', state: 'waiting' },
  ],
  failure: { step: 'upstreams', message: 'no peers', hint: 'Name them.', output: 'line\u001b[31m 1\nline 2' },
  notes: ['the clock is wrong'],
};

/** A card with that result on it; undefined: none. */
async function card(result: string | undefined): Promise<string> {
  const folder = temporaryFolder();
  const image = join(folder, 'card.img');
  await copyFile(join(made, 'web.img'), image);
  await mtools(image, 'mdel', '::piimg-result.json').catch(() => {});
  if (result === undefined) return image;
  await writeFile(join(folder, 'result'), result);
  await mtools(image, 'mcopy', join(folder, 'result'), '::piimg-result.json');
  return image;
}

test('a failure: what, where, what to do; exit code 1', async () => {
  const { stdout, exitCode } = await piimg(['result', await card(JSON.stringify(RESULT).padEnd(4096, '\n'))]);
  assert.is(exitCode, 1);
  assert.is(
    stdout,
    `piimg: pi-lb1 is NOT lb: failed in step upstreams: no peers
  applied    folder (directory)  0.01 s
  failed     upstreams (template)  0.2 s
  waiting    restart (unit)
  | line 1
  | line 2
Name them.
note: the clock is wrong`,
  );
});

test('a machine that is its role; the same for programs', async () => {
  const { failure: _, ...rest } = RESULT;
  const image = await card(JSON.stringify({ ...rest, status: 'applied', notes: [] }));
  const { stdout, exitCode } = await piimg(['result', image]);
  assert.is(exitCode, 0);
  assert.match(stdout, /^piimg: pi-lb1 is lb: 3 steps, 12 s\n/);
  const json = await piimg(['result', image, '--json']);
  assert.is((JSON.parse(json.stdout) as { status: string }).status, 'applied');
});

for (const [name, text, said] of [
  ['not switched on yet', '\n'.repeat(16_384), /has no result yet: its first boot did not get that far/],
  ['cut while it was written', '{"version": 1, "sta', /was cut while it was written\.\nhint: Switch the machine on/],
  ['an image of an older piimg', undefined, /has no piimg-result\.json/],
] as const) {
  test(`a card without a result: ${name}`, async () => {
    const { stderr, exitCode } = await piimg(['result', await card(text)]);
    assert.is(exitCode, 1);
    assert.match(stderr, said);
  });
}

test('no card at all', async () => {
  const { stderr, exitCode } = await piimg(['result', '/dev/null']);
  assert.is(exitCode, 2);
  assert.match(stderr, /^error: There is no image or card \/dev\/null$/m);
});

test.run();
