// `piimg flash` of an image that somebody else made, with an identity: the same files as `piimg customize`, in what is written.
import { copyFile, mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { foreignIdentities } from '../../../src/cli/flashing/foreign.ts';
import type { Flashed } from '../../../src/cli/flashing/flash.ts';
import type { Identity } from '../../../src/cli/flashing/identities.ts';
import { coveringAll, openImage } from '../../../src/cli/flashing/image.ts';
import { nextSteps } from '../../../src/cli/flashing/next-steps.ts';
import { keepLedger, notedPlaces } from '../../../src/cli/flashing/note.ts';
import type { Target } from '../../../src/cli/flashing/targets.ts';
import { run, type RunResult } from '../../../src/host/exec.ts';
import { checkFat } from '../../helpers/fat-image.ts';
import { BOOT, foreignImage, mtools } from '../../helpers/foreign-image.ts';
import { ROW } from '../../helpers/ledger-rows.ts';
import { keyLine } from '../../helpers/ssh-keys.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
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
  const [identity] = await foreignIdentities(opened, [undefined], { nodes: undefined, given }, signal);
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

test('an identity that lets nobody in is refused, --no-login insists', async () => {
  const closed = ['flash', 'card.img', '--to', 'closed.img', '--node', 'pi1'];
  const options = { cwd: folder, env: { PIIMG_CACHE: join(folder, 'cache'), HOME: folder } };
  const no = await piimg(closed, options);
  assert.is(no.exitCode, 2, no.stderr);
  assert.match(no.stderr, /Nobody could log in to pi1[\s\S]*--no-login/);
  const insisted = await piimg([...closed, '--no-login'], options);
  assert.is(insisted.exitCode, 0, insisted.stderr);
  assert.match(insisted.stderr, 'no ssh key was given');
});

test('a Raspberry Pi OS that nobody has told of a user is not written as it is; one that was told, or is insisted on, is', async () => {
  const asks = 'etc/systemd/system/multi-user.target.wants/userconfig.service';
  const offered = await foreignImage('cloudinit-rpi', { root: { [asks]: { link: '/dev/null.service' } } });
  const cwd = dirname(offered);
  const options = { cwd, env: { PIIMG_CACHE: join(cwd, 'cache'), HOME: cwd } };
  const flashPlain = (...args: string[]): Promise<RunResult> => piimg(['flash', ...args, '--json'], options);
  const no = await flashPlain('card.img', '--to', 'plain.img');
  assert.is(no.exitCode, 2, no.stderr);
  assert.match(
    no.stderr,
    /Nobody could log in to card\.img: [^]*Raspberry Pi OS has none before one is made[^]*--no-login/,
  );
  assert.is((await flashPlain('card.img', '--to', 'plain.img', '--no-login')).exitCode, 0);
  const key = ['--ssh-key', join(folder, 'me.pub')];
  assert.is(
    (await piimg(['customize', 'card.img', '--node', 'pi1', ...key, '--out', 'told.img'], options)).exitCode,
    0,
  );
  const [unknown, later] = ['is not known here', 'is seen when it is written'].map(
    (when) => `whether anybody can log in to it ${when}`,
  );
  const yes = await flashPlain('told.img', '--to', 'plain.img');
  assert.is(yes.exitCode, 0, yes.stderr);
  assert.not.match(yes.stderr, 'whether anybody can log in');
  // What cannot be looked into before is looked at when it is written.
  await run(['gzip', '-kf', 'card.img', 'told.img'], { cwd });
  const said = (name: string, ...more: string[]): Promise<RunResult> =>
    piimg(['flash', name, '--to', 'plain.img', ...more], options);
  for (const [name, closed, ...more] of [
    ['card.img.gz', true],
    ['card.img.gz', false, '--no-login'],
    ['told.img.gz', false],
  ] as const) {
    const { exitCode, stdout, stderr } = await said(name, ...more);
    assert.is(exitCode, 0, stderr);
    assert.match(stderr, `warning: piimg has not built ${name}: ${more.length > 0 ? unknown : later}`);
    const hint = /Nobody could log in: [^]*piimg customize plain\.img --in-place --node NAME --ssh-key FILE\.pub/;
    assert.is(hint.test(stdout), closed, stdout);
  }
  const json = await flashPlain('card.img.gz', '--to', 'plain.img');
  assert.is((JSON.parse(json.stdout) as { closed: boolean }).closed, true);
});

test('a card with an identity is equal to its image where the ledger notes what is its own, and different elsewhere', async () => {
  const { signal } = new AbortController();
  const opened = await openImage(image, signal);
  const given = { node: 'pi1', keys: [keyLine()], addresses: [], dns: [], variables: {}, secrets: {} };
  const [identity] = await foreignIdentities(opened, [undefined], { nodes: undefined, given }, signal);
  const verify = () => piimg(['verify', 'card.img', 'pi1.img'], { cwd: folder });
  const before = await verify();
  assert.is(before.exitCode, 1);
  assert.match(before.stdout, /folder that it was flashed from/);
  const own = identity?.patches.map(({ offset, length }) => [offset, length]);
  // Of what piimg has not built no build is noted.
  const row = { ...ROW, role: undefined, buildId: undefined, image: { name: './card.img', size: opened.size }, own };
  await mkdir(join(folder, 'out'));
  await writeFile(join(folder, 'out/ledger.jsonl'), `${JSON.stringify(row)}\n`);
  const { exitCode, stdout } = await verify();
  assert.is(exitCode, 0, stdout);
  assert.match(stdout, /equal to card\.img, but for its identity/);
  const handle = await open(join(folder, 'pi1.img'), 'r+');
  await handle.write('x', 20 << 20);
  await handle.close();
  assert.is((await verify()).exitCode, 1, 'negative control');
});

test('a row of the ledger has the places of its own for a card of such an image only', async () => {
  const { signal } = new AbortController();
  const opened = await openImage(image, signal);
  const patches = [{ offset: 4096, length: 4096, content: Buffer.alloc(4096) }];
  const target = { device: { path: '/dev/sdz', model: 'x' }, identity: { size: 1 << 30 } } as unknown as Target;
  const card = { target, file: undefined, node: 'pi1', cardId: undefined, patches, resumeFrom: 0 };
  const figures = { written: 1, read: 0, writing: 1, reading: 0, verdict: 'written' } as const;
  const cwd = process.cwd();
  process.chdir(temporaryFolder());
  try {
    const ledger = keepLedger(opened, false, { sha256: undefined, say: assert.unreachable });
    ledger.add({ name: '/dev/sdz', card, notes: [], ...figures });
    ledger.add({ name: '/dev/sdz', card: { ...card, patches: [] }, notes: [], ...figures });
    assert.equal(
      (await ledger.rows()).map(({ own }) => own),
      [[[4096, 4096]], undefined],
    );
    assert.equal(await notedPlaces(opened), [{ offset: 4096, length: 4096 }]);
  } finally {
    process.chdir(cwd);
  }
});

test('what to do with the card: its own LED and time are those of images of piimg only', () => {
  const identity = { login: 'pi@pi1', knownHosts: [] } as unknown as Identity;
  const flashed = { card: { target: {} } } as unknown as Flashed;
  const other = nextSteps([flashed], [identity], { own: false, closed: false }).join('\n');
  assert.match(other, /Once it has booted:\n {2}ssh pi@pi1/);
  assert.not.match(other, /LED|seconds/);
  assert.match(nextSteps([flashed], [identity], { own: true, closed: false }).join('\n'), /90 seconds[\s\S]*LED/);
});

test('a root file system that was in use when it was copied is warned of', async () => {
  const start = (BOOT.start + BOOT.sectors) * 512;
  await copyFile(image, join(folder, 'used.img'));
  await run(['debugfs', '-w', '-R', 'feature needs_recovery', `${join(folder, 'used.img')}?offset=${start}`]);
  for (const words of [
    ['flash', 'used.img', '--to', 'y.img', '--node', 'pi1', '--ssh-key', 'me.pub'],
    ['customize', 'used.img', '--out', 'z.img', '--node', 'pi1', '--ssh-key', 'me.pub'],
  ]) {
    const { exitCode, stderr } = await piimg(words, { cwd: folder, env: { PIIMG_CACHE: join(folder, 'cache') } });
    assert.is(exitCode, 0, stderr);
    assert.match(stderr, /warning: .*(not unmounted|in use)/);
  }
});

test.run();
