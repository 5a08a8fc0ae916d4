// `piimg flash --to FILE`: past the page cache, whole or not at all, never over the image itself.
import { constants } from 'node:fs';
import { link, mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';
import { EXIT } from '../../src/lib/errors.ts';
import { asRoot } from '../helpers/as-root.ts';
import { piimgCommand } from '../helpers/command.ts';
import { agreed, flashedOf, MIB, piimg, plainImage, refused, startPiimg } from '../helpers/flashing.ts';
import { isBootable, withCards, type Card, type CardOptions } from '../helpers/rig/card.ts';
import { seedImage } from '../helpers/seed-image.ts';
import { keyLine } from '../helpers/ssh-keys.ts';
import { temporaryFolder } from '../helpers/temporary.ts';

const CARD: CardOptions = { size: 64 * MIB, content: 'random' };

test('a file is written and read back past the page cache', async () => {
  const folder = temporaryFolder();
  const bytes = await readFile(await plainImage(folder));
  const stdin = new PassThrough();
  const command = [...piimgCommand(), 'flash', '-', '--to', 'card.img', '--no-login'];
  const flashing = run(command, { cwd: folder, input: stdin, signal: AbortSignal.timeout(60_000) });
  stdin.write(bytes.subarray(0, bytes.length / 2));
  const open = async (): Promise<string | undefined> => {
    for (const fd of await readdir(`/proc/${flashing.pid}/fd`)) {
      const file = await readlink(`/proc/${flashing.pid}/fd/${fd}`).catch(() => '');
      if (file.endsWith('.part')) return readFile(`/proc/${flashing.pid}/fdinfo/${fd}`, 'utf8');
    }
    return undefined;
  };
  let info: string | undefined;
  while ((info = await Promise.race([open(), flashing.then(() => '')])) === undefined) await sleep(50);
  stdin.end(bytes.subarray(bytes.length / 2));
  await flashing;
  const flags = Number.parseInt(/^flags:\s+(\d+)/m.exec(info)?.[1] ?? '0', 8);
  assert.ok((flags & constants.O_DIRECT) !== 0, info);
  assert.ok((await readFile(path.join(folder, 'card.img'))).equals(bytes));
});

test('a terminal that is closed: the flash ends in order, and leaves no part of the file', async () => {
  const folder = temporaryFolder();
  const bytes = await readFile(await plainImage(folder));
  const stdin = new PassThrough();
  const command = [...piimgCommand(), 'flash', '-', '--to', 'card.img', '--no-login'];
  const options = { cwd: folder, input: stdin, okCodes: [EXIT.interrupted], signal: AbortSignal.timeout(60_000) };
  const flashing = run(command, options);
  stdin.write(bytes.subarray(0, bytes.length / 2));
  const parts = async (): Promise<string[]> => (await readdir(folder)).filter((name) => name.startsWith('card.img'));
  while ((await parts()).length === 0) await sleep(50);
  process.kill(flashing.pid ?? 0, 'SIGHUP');
  await flashing;
  stdin.destroy();
  assert.equal(await parts(), []);
});

test('a file: new or replaced as a whole, never the image itself, be it by another name', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  await link(image, path.join(folder, 'same.img'));
  refused(await piimg(folder, 'flash', image, '--to', 'same.img'), /same\.img is the image itself/);
  await writeFile(path.join(folder, 'card.img.part'), 'of somebody else');
  const done = await piimg(folder, 'flash', image, '--to', 'card.img');
  assert.is(done.code, 0, done.stderr);
  assert.ok((await readFile(path.join(folder, 'card.img'))).equals(await readFile(image)));
  await writeFile(path.join(folder, 'broken.img'), 'no image');
  const broken = await piimg(folder, 'flash', 'broken.img', '--to', 'card.img');
  assert.is(broken.code, 2);
  assert.match(broken.stderr, /is no disk image/);
  assert.ok(
    (await readFile(path.join(folder, 'card.img'))).equals(await readFile(image)),
    'the old one is still there',
  );
  assert.equal(
    (await readdir(folder)).filter((name) => name.includes('part')),
    ['card.img.part'],
  );
});

test('a bomb that fills the disk: told, and nothing of it stays', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  await mkdir(path.join(folder, 'at'));
  await run(['sh', '-euc', '{ cat "$1"; head -c 1G /dev/zero; } | gzip -1 >bomb.img.gz', 'sh', image], { cwd: folder });
  const small = 'mount -t tmpfs -o size=64m tmpfs at; "$@" && echo code=0 || echo "code=$?"; ls at';
  const command = ['unshare', '--mount', '--propagation', 'private', 'sh', '-euc', small, 'sh', ...piimgCommand()];
  const { stdout, stderr } = await run(asRoot([...command, 'flash', 'bomb.img.gz', '--to', 'at/card.img']), {
    cwd: folder,
    signal: AbortSignal.timeout(60_000),
  });
  assert.match(stdout, /code=1$/, stderr);
  assert.match(stdout + stderr, /the disk that it is written to is full/);
});

test('stdin for two cards that does not fit into the cache: told, and neither boots; for one card nothing is kept', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  await mkdir(path.join(folder, 'at'));
  await withCards([CARD, CARD], async (cards) => {
    const [one, two] = cards as [Card, Card];
    const flash = async (...targets: Card[]): Promise<string> => {
      const small = 'mount -t tmpfs -o size=8m tmpfs at; "$@" <plain.img && echo code=0 || echo "code=$?"';
      const words = ['flash', '-', ...targets.map((card) => card.path), ...agreed(targets)];
      const command = ['unshare', '--mount', '--propagation', 'private', 'sh', '-euc', small, 'sh', ...piimgCommand()];
      const cache = `PIIMG_CACHE=${path.join(folder, 'at')}`;
      const { stdout, stderr } = await run(asRoot(['env', cache, ...command, ...words]), {
        cwd: folder,
        signal: AbortSignal.timeout(60_000),
      });
      return stdout + stderr;
    };
    const told = await flash(one, two);
    assert.match(told, 'code=1');
    assert.match(told, /stdin could not be kept in \S*at\/tmp for several cards: no space left on device/);
    assert.equal([await isBootable(one), await isBootable(two)], [false, false]);
    assert.match(await flash(one), 'code=0');
    assert.ok((await one.read(0, 24 * MIB)).equals(await readFile(image)));
  });
});

test('an image that was given an identity: the card is that machine, and no two cards are', async () => {
  const folder = await seedImage();
  await writeFile(path.join(folder, 'key.pub'), `${keyLine()}\n`);
  await writeFile(path.join(folder, 'web.manifest.json'), '{}');
  const identity = ['--node', 'pi-web7', '--ssh-key', 'key.pub', '--ip', '192.168.254.7/24'];
  const seeded = await piimg(folder, 'seed', 'web.img', '--in-place', ...identity);
  assert.is(seeded.code, 0, seeded.stderr);
  assert.match(seeded.stderr, 'the next build of web.img makes it anew');
  const { cards } = flashedOf(await piimg(folder, 'flash', 'web.img', '--to', 'card.img', '--json'));
  assert.equal([cards[0]?.node, cards[0]?.login], ['pi-web7', 'pi@192.168.254.7']);
  await withCards([CARD, CARD], async (two) => {
    const twice = ['flash', 'web.img', ...two.map((card) => card.path), ...agreed(two), '--dry-run'];
    const { code, stderr } = await piimg(folder, ...twice);
    assert.is(code, 2, stderr);
    assert.match(stderr, /web\.img carries the identity of pi-web7: its cards would all be the same machine/);
  });
  const anew = flashedOf(
    await piimg(folder, 'flash', 'web.img', '--to', 'card.img', '--json', ...identity.with(1, 'pi-web8')),
  );
  assert.is(anew.cards[0]?.node, 'pi-web8');
});

test('a packed image, and one from stdin, is asked for its identity as well', async () => {
  const folder = await seedImage();
  await writeFile(path.join(folder, 'key.pub'), `${keyLine()}\n`);
  await run(['sh', '-c', 'xz -0k web.img; mv web.img.xz bare.img.xz'], { cwd: folder });
  const bare = await piimg(folder, 'flash', 'bare.img.xz', '--to', 'card.img');
  assert.is(bare.code, 2, bare.stderr);
  assert.match(bare.stderr, /Nobody could log in to bare\.img\.xz/);
  const identity = ['--node', 'pi-web7', '--ssh-key', 'key.pub'];
  const seeded = await piimg(folder, 'seed', 'web.img', '--in-place', ...identity);
  assert.is(seeded.code, 0, seeded.stderr);
  await run(['xz', '-0k', 'web.img'], { cwd: folder });
  const flash = [...piimgCommand(), 'flash', '-', '--to', 'card.img', '--json', '--progress', 'silent'];
  for (const piped of ['web.img', 'web.img.xz']) {
    const { stdout } = await run(['sh', '-c', 'cat "$0" | "$@"', piped, ...flash], { cwd: folder });
    const { cards } = JSON.parse(stdout) as { cards: { node: string; login: string }[] };
    assert.equal([cards[0]?.node, cards[0]?.login], ['pi-web7', 'pi@pi-web7'], piped);
  }
  const { cards } = flashedOf(await piimg(folder, 'flash', 'web.img.xz', '--to', 'card.img', '--json'));
  assert.is(cards[0]?.login, 'pi@pi-web7');
  assert.ok((await readFile(path.join(folder, 'card.img'))).includes('pi-web7'));
  await withCards([CARD, CARD], async (two) => {
    const twice = ['flash', 'web.img.xz', ...two.map((card) => card.path), ...agreed(two), '--dry-run'];
    const { code, stderr } = await piimg(folder, ...twice);
    assert.is(code, 2, stderr);
    assert.match(stderr, /web\.img\.xz carries the identity of pi-web7/);
    const piped = ['flash', '-', ...two.map((card) => card.path), ...agreed(two)];
    const refused = await startPiimg(folder, piped, 60, await readFile(path.join(folder, 'web.img.xz')));
    assert.is(refused.exitCode, 2, refused.stderr);
    assert.match(refused.stderr, /stdin carries the identity of pi-web7/);
  });
});

test.run();
