// `piimg flash` of an image that somebody else made, with an identity: the same files as `piimg customize`, in what is written.
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { foreignIdentities } from '../../../src/cli/flashing/foreign.ts';
import { coveringAll, openImage } from '../../../src/cli/flashing/image.ts';
import { run, type RunResult } from '../../../src/host/exec.ts';
import { checkFat } from '../../helpers/fat-image.ts';
import { foreignImage, mtools } from '../../helpers/foreign-image.ts';
import { keyLine } from '../../helpers/ssh-keys.ts';
import { piimg } from './piimg.ts';

const image = await foreignImage('cloudinit-rpi');
const folder = dirname(image);
await writeFile(join(folder, 'me.pub'), `${keyLine()}\n`);

const flash = (...args: string[]): Promise<RunResult> =>
  piimg(['flash', ...args, '--ssh-key', 'me.pub'], { cwd: folder, env: { PIIMG_CACHE: join(folder, 'cache') } });

test('a file is written with the identity in it, read back, and sound', async () => {
  const before = await readFile(image);
  const { exitCode, stderr, stdout } = await flash('card.img', '--to', 'pi1.img', '--node', 'pi1', '--json');
  assert.is(exitCode, 0, stderr);
  const [card] = (JSON.parse(stdout) as { cards: { verdict: string; login: string; node: string }[] }).cards;
  assert.equal([card?.verdict, card?.login, card?.node], ['verified', 'pi@pi1', 'pi1']);
  const written = join(folder, 'pi1.img');
  assert.match((await mtools(written, 'mtype', '::user-data')).stdout, '"hostname": "pi1"');
  assert.match((await mtools(written, 'mtype', '::cmdline.txt')).stdout, 'ds=nocloud;i=piimg-pi1-');
  assert.is((await checkFat(written)).exitCode, 0);
  assert.ok((await readFile(image)).equals(before));
});

test('with a block map that knows nothing of the new blocks they are written all the same', async () => {
  const { signal } = new AbortController();
  const opened = { ...(await openImage(image, signal)), ranges: [{ offset: 0, length: 4096 }] };
  const given = { node: 'pi2', keys: [keyLine()], addresses: [], dns: [], variables: {}, secrets: {} };
  const [identity] = await foreignIdentities(opened.source, [undefined], { nodes: undefined, given }, signal);
  const patches = identity?.patches ?? [];
  assert.ok(patches.length > 2);
  const { ranges = [] } = coveringAll(opened, patches);
  for (const { offset, length } of patches) {
    const shared = ranges.map(
      (range) => Math.min(range.offset + range.length, offset + length) - Math.max(range.offset, offset),
    );
    assert.is(
      shared.filter((bytes) => bytes > 0).reduce((sum, bytes) => sum + bytes, 0),
      length,
    );
    assert.equal([offset % 4096, length % 4096], [0, 0]);
  }
});

test('packed, or with more than its first boot can be told: refused, with what to do', async () => {
  await run(['gzip', '-kf', 'card.img'], { cwd: folder });
  const packed = await flash('card.img.gz', '--to', 'x.img', '--node', 'pi1');
  assert.is(packed.exitCode, 2);
  assert.match(packed.stderr, /no plain file[\s\S]*unpack/);
  const more = await flash('card.img', '--to', 'x.img', '--node', 'pi1', '--set', 'port=1');
  assert.is(more.exitCode, 2);
  assert.match(more.stderr, '--set: variables');
});

test.run();
