// What `piimg flash` must never overwrite, on real disks: refused with exit code 3, a reason and what to do, and not a byte touched.
import { once } from 'node:events';
import { copyFile, link, mkdir, readFile, rename, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';
import { asRoot } from '../helpers/as-root.ts';
import {
  agreed,
  atTerminal,
  inside,
  MIB,
  piimg,
  plainImage,
  refused,
  startPiimg,
  type Said,
} from '../helpers/flashing.ts';
import { withCard, withCards, type Card, type CardOptions } from '../helpers/rig/card.ts';
import { BUILD_ID, seedImage } from '../helpers/seed-image.ts';
import { keyLine } from '../helpers/ssh-keys.ts';
import { temporaryFolder } from '../helpers/temporary.ts';

const OPTIONS: CardOptions = { size: 64 * MIB, content: 'random' };

/** Nothing of the card may have changed. */
async function untouched(card: Card, work: () => Promise<void>): Promise<void> {
  const before = await card.read(0, card.size);
  await work();
  assert.ok((await card.read(0, card.size)).equals(before), 'the card was touched');
}

test('without consent: nobody to ask; with --yes a disk that is not card-like; with its name but not --allow-fixed', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  await withCard(OPTIONS, (card) =>
    untouched(card, async () => {
      refused(await piimg(folder, 'flash', image, card.path), /not what cards look like/, /--allow-fixed/);
      refused(
        await piimg(folder, 'flash', image, card.path, '--yes', '--allow-fixed'),
        /Nobody is there to agree that loop\d+ is overwritten/,
        /--confirm loop\d+/,
      );
      refused(
        await piimg(folder, 'flash', image, card.path, '--confirm', path.basename(card.path)),
        /not what cards look like/,
      );
      const dry = await piimg(folder, 'flash', image, card.path, ...agreed([card]), '--dry-run');
      assert.is(dry.code, 0);
      assert.match(dry.stderr, /Nothing was written/);
      assert.match(dry.stderr, new RegExp(card.path));
    }),
  );
});

test('somebody at the terminal types the name, or another one; a key of theirs is offered where nobody could log in', async () => {
  const folder = await seedImage();
  const image = path.join(folder, 'web.img');
  await mkdir(path.join(folder, '.ssh'));
  await writeFile(path.join(folder, '.ssh/id_ed25519.pub'), `${keyLine()}\n`);
  await withCard(OPTIONS, async (card) => {
    const name = path.basename(card.path);
    const flash = ['flash', image, card.path, '--allow-fixed'];
    const key: [RegExp, string] = [/Let one of these keys in\?[^]*id_ed25519\.pub[^]*Number/, '1'];
    await untouched(card, async () => {
      const none = await atTerminal(folder, flash, [[key[0], '']]);
      assert.is(none.code, 2, none.screen);
      assert.match(none.screen, 'Nobody could log in');
      const other = await atTerminal(folder, flash, [key, [/will be lost\. Type loop\d+ to go on/, 'sdz']]);
      assert.is(other.code, 3, other.screen);
      assert.match(other.screen, 'Not agreed: nothing was touched');
    });
    const { code, screen } = await atTerminal(folder, flash, [key, [/to go on/, name]]);
    assert.is(code, 0, screen);
    assert.match(screen, /written, read back and right: safe to remove/);
    assert.match(screen, /ssh \S+@pi-web/);
    assert.match((await piimg(folder, 'card', card.path)).stdout, 'pi-web');
  });
});

test('a partition, a disk that is too small, one disk twice, a disk that is not there', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  await withCard({ ...OPTIONS, partitions: true }, async (card) => {
    const table = 'label: dos\nstart=2048,size=8192,type=83\n';
    await run(asRoot(['sfdisk', '-q', '--no-reread', card.path]), { input: table });
    await run(asRoot(['partx', '--update', card.path]));
    await untouched(card, async () => {
      const flash = (...words: string[]): Promise<Said> => piimg(folder, 'flash', image, ...words, ...agreed([card]));
      refused(await flash(`${card.path}p1`), /p1 is a partition/, /name \/dev\/loop\d+\./);
      refused(await flash(card.path, card.path), /was named twice/);
      const missing = await flash('/dev/piimg-none');
      assert.is(missing.code, 2);
      assert.match(missing.stderr, /There is no \/dev\/piimg-none/);
      const large = path.join(folder, 'large.img');
      await rename(await plainImage(temporaryFolder(), 80 * MIB), large);
      const flashFile = (file: string): Promise<Said> => piimg(folder, 'flash', file, card.path, ...agreed([card]));
      refused(await flashFile(large), /too small: 67\.1 MB, the image needs 83\.9 MB/);
      // How long it is, is seen at its end only; what its partitions reach to, at its beginning.
      const piped = await startPiimg(folder, ['flash', '-', card.path, ...agreed([card])], 120, await readFile(large));
      refused({ ...piped, code: piped.exitCode }, /too small: 67\.1 MB, the image needs 83\.9 MB/);
      // What a packed file does not tell is counted before.
      await run(
        [
          'sh',
          '-euc',
          '{ cat "$0"; head -c 64M /dev/zero; } | tee more.img | gzip -1 >more.gz; zstd -qc <more.img >more.zst; head -c 900K "$0" | gzip >cut.gz',
          image,
        ],
        { cwd: folder },
      );
      const cut = await flashFile(path.join(folder, 'cut.gz'));
      assert.is(cut.code, 2);
      assert.match(cut.stderr, /cut\.gz is cut off: its partitions reach to byte 25165824, it ends at 921600/);
      for (const more of ['more.gz', 'more.zst'])
        refused(await flashFile(path.join(folder, more)), /too small: 67\.1 MB, the image needs more/);
      for (const words of [
        [image, large],
        [image, `Pi_1=${card.path}`],
        [image, '--to', 'x', '--wipe'],
        [image, card.path, '--role', 'web'],
        [image, '--to', 'x', '--resume'],
        [image, card.path, '--verify-only', '--node', 'pi1'],
      ]) {
        const { code, stderr } = await piimg(folder, 'flash', ...words, ...agreed([card]));
        assert.is(code, 2, `${words.join(' ')}: ${stderr}`);
      }
    });
  });
});

test('a disk that somebody writes to, be it by a partition; a disk that is the image', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  await withCard(OPTIONS, (card) =>
    untouched(card, async () => {
      // Ends with its stdin.
      const stdin = new PassThrough();
      const dd = run(asRoot(['sh', '-c', 'exec 9<>"$1"; echo ready; exec cat', 'sh', card.path]), {
        stdout: 'stream',
        input: stdin,
      });
      try {
        await once(dd.stdout, 'data');
        refused(
          await piimg(folder, 'flash', image, card.path, ...agreed([card])),
          /is being written by cat \(process \d+\)/,
        );
      } finally {
        stdin.end();
        await dd;
      }
    }),
  );
  const before = await readFile(image);
  const [hard, soft] = [path.join(folder, 'hard.img'), path.join(folder, 'soft.img')];
  await link(image, hard);
  await symlink(image, soft);
  for (const file of [image, hard, soft]) {
    const { stdout } = await run(asRoot(['losetup', '--find', '--show', file]));
    const loop = stdout.trim();
    try {
      const sure = ['--yes', '--allow-fixed', '--confirm', path.basename(loop)];
      for (const name of [image, hard])
        refused(await piimg(folder, 'flash', name, loop, ...sure), /holds the image|is the image itself/);
    } finally {
      await run(asRoot(['losetup', '--detach', loop]));
    }
  }
  assert.ok((await readFile(image)).equals(before));
});

test('without an image it is the one built last: role, age and digest are shown', async () => {
  const folder = await seedImage();
  await mkdir(path.join(folder, 'out'));
  await withCard(OPTIONS, async (card) => {
    const dry = (): Promise<Said> => piimg(folder, 'flash', card.path, ...agreed([card]), '--no-login', '--dry-run');
    const none = await dry();
    assert.is(none.code, 2, none.stderr);
    for (const [name, digest, seconds] of [
      ['web', 'a1'.repeat(32), 3600],
      ['older', 'b2'.repeat(32), 7200],
    ] as const) {
      const file = path.join(folder, `out/${name}.img`);
      await copyFile(path.join(folder, 'web.img'), file);
      const image = { file: `${name}.img`, sha256: digest, size: (await stat(file)).size };
      const manifest = path.join(folder, `out/${name}.manifest.json`);
      await writeFile(manifest, JSON.stringify({ buildId: BUILD_ID, image }));
      const then = new Date(Date.now() - seconds * 1000);
      for (const each of [file, manifest]) await utimes(each, then, then);
    }
    const { code, stderr } = await dry();
    assert.is(code, 0, stderr);
    assert.match(stderr, /out\/web\.img: role web · sha256 a1a1a1a1a1a1 · made 1 h 00 min ago/);
  });
});

test('a disk that does not look like a card is taken by its serial number', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  await withCard(OPTIONS, async (card) => {
    const named = 'mkdir -p /dev/disk/by-id; mount -t tmpfs none /dev/disk/by-id; ln -s "$CARD" /dev/disk/by-id/usb-1';
    const flash = (name: string): Promise<Said> =>
      inside(card, named, folder, image, name, '--dry-run', '--confirm', path.basename(card.path));
    refused(await flash(card.path), /not what cards look like/, /by-id/);
    const bySerial = await flash('/dev/disk/by-id/usb-1');
    assert.is(bySerial.code, 0, bySerial.stderr);
  });
});

test('no image and no last build; no card; a card that nobody could log in to', async () => {
  const empty = temporaryFolder();
  const none = await piimg(empty, 'flash', '--to', 'x.img');
  assert.is(none.code, 2);
  assert.match(none.stderr, /No image was named, and none was built/);
  const folder = await seedImage();
  const nowhere = await piimg(folder, 'flash', 'web.img');
  assert.is(nowhere.code, 2);
  assert.match(nowhere.stderr, /No card was named/);
  const closed = await piimg(folder, 'flash', 'web.img', '--to', 'x.img');
  assert.is(closed.code, 2);
  assert.match(closed.stderr, /Nobody could log in/);
  assert.match(closed.stderr, /--no-login/);
  await withCards([OPTIONS, OPTIONS], async (cards) => {
    const two = await piimg(folder, 'flash', 'web.img', ...cards.map((card) => card.path), ...agreed(cards));
    assert.is(two.code, 2, two.stderr);
    assert.match(two.stderr, /Nobody could log in to web\.img[^]*Name each card, NODE=\/dev\/sdX[^]*--no-login/);
  });
  assert.is((await piimg(folder, 'flash', 'web.img', '--to', 'x.img', '--no-login')).code, 0);
});

test.run();
