// A flash that was stopped: killed at random instants, by Ctrl-C, on another card than before; resumed, it is right.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { agreed, flashedOf, MIB, piimg, plainImage, startPiimg, untilMoved } from '../helpers/flashing.ts';
import { isBootable, moved, withCard } from '../helpers/rig/card.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { random } from '../power/cuts.ts';

const seed = Number(process.env['PIIMG_TEST_SEED'] ?? Math.floor(Math.random() * 1e6));
const next = random(seed);
console.log(`seed ${seed} (PIIMG_TEST_SEED)`);

const SIZE = 64 * MIB;

test('killed at random instants and resumed: it does not boot before, and is equal afterwards', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder, 48 * MIB);
  await withCard({ size: SIZE, content: 'random', bytesPerSecond: 30e6, seconds: 400 }, async (card) => {
    // Twice while it is written, once while it is read back.
    for (const kind of ['write', 'write', 'read'] as const) {
      const flashing = startPiimg(folder, ['flash', image, card.path, ...agreed([card]), '--resume']);
      const ended = flashing.catch(() => undefined);
      const before = moved(await card.requests(), kind);
      await untilMoved(card, kind, before + MIB * (2 + next() * 14));
      flashing.kill('SIGKILL');
      await ended;
      assert.not.ok(await isBootable(card));
      // By then all is there but that.
      if (kind === 'read') assert.ok((await card.read(MIB, 47 * MIB)).equals((await readFile(image)).subarray(MIB)));
    }
    const { cards: told, code } = flashedOf(
      await piimg(folder, 'flash', image, card.path, ...agreed([card]), '--resume', '--json'),
    );
    assert.is(code, 0, told[0]?.problem);
    assert.is(told[0]?.verdict, 'verified');
    assert.ok((await card.read(0, 48 * MIB)).equals(await readFile(image)));
  });
});

test('Ctrl-C: exit code 130, a card that does not boot, and the command to go on with; less is written then', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder, 48 * MIB);
  await withCard({ size: SIZE, bytesPerSecond: 15e6, seconds: 400 }, async (card) => {
    const flashing = startPiimg(folder, ['flash', image, card.path, ...agreed([card])]);
    // Notes of how far it is are a second apart.
    await untilMoved(card, 'write', 30 * MIB);
    flashing.kill('SIGINT');
    const { exitCode, stderr } = await flashing;
    assert.is(exitCode, 130, stderr);
    const again = `Go on with: piimg flash --resume ${image} ${card.path} ${agreed([card]).join(' ')}`;
    assert.ok(stderr.includes(again), stderr);
    assert.match(stderr, new RegExp(`${card.path}: STOPPED · wrote \\d[^]*nothing boots from it as it is`));
    assert.not.ok(await isBootable(card));
    // And while it is read back, when all but the first block is there.
    const reading = startPiimg(folder, ['flash', image, card.path, ...agreed([card]), '--resume']);
    await untilMoved(card, 'read', moved(await card.requests(), 'read') + 8 * MIB);
    reading.kill('SIGINT');
    const stopped = await reading;
    assert.is(stopped.exitCode, 130, stopped.stderr);
    assert.match(stopped.stderr, new RegExp(`${card.path}: STOPPED[^]*nothing boots from it as it is`));
    assert.not.ok(await isBootable(card));
    await card.behave({ bytesPerSecond: 1e9 });
    const { cards: told } = flashedOf(
      await piimg(folder, 'flash', image, card.path, ...agreed([card]), '--resume', '--json'),
    );
    assert.is(told[0]?.verdict, 'verified', told[0]?.problem);
    assert.ok((told[0]?.written ?? Infinity) < 40 * MIB, `${told[0]?.written} bytes were written`);
    assert.ok((await card.read(0, 48 * MIB)).equals(await readFile(image)));
  });
});

test('an image that ends too early, was changed, or unpacks to more than the card has: told, and nothing boots', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  const { run } = await import('../../src/host/exec.ts');
  await run([
    'sh',
    '-euc',
    'xz -k -0 "$1"; head -c 9000000 "$1.xz" >"$2/short.xz"; cp "$1.xz" "$2/bad.xz"; printf piimg! | dd of="$2/bad.xz" bs=1 seek=9000000 conv=notrunc status=none; { cat "$1"; head -c 64M /dev/zero; } | gzip -1 >"$2/large.gz"; zstd -q "$1" -o "$2/good.zst"',
    'sh',
    image,
    folder,
  ]);
  const cases: [string, RegExp][] = [
    ['short.xz', /short\.xz.*(is damaged|cut off|ends)/],
    ['bad.xz', /bad\.xz.*(is damaged|cut off|ends)/],
    // By a pipe: of a file it is counted before.
    ['large.gz', /the card ends before byte 33554432/],
  ];
  for (const [name, problem] of cases) {
    await withCard({ size: 32 * MIB, content: 'random' }, async (card) => {
      const file = path.join(folder, name);
      const piped = name === 'large.gz' ? await readFile(file) : undefined;
      const words = ['flash', piped ? '-' : file, card.path, ...agreed([card])];
      const { exitCode: code, stdout, stderr } = await startPiimg(folder, words, 120, piped);
      assert.ok(code !== 0, name);
      assert.match(stdout + stderr, problem);
      const boots = code === 1 && (await isBootable(card));
      assert.not.ok(boots, name);
    });
  }
  await withCard({ size: 32 * MIB }, async (card) => {
    const { cards: told } = flashedOf(
      await piimg(folder, 'flash', path.join(folder, 'good.zst'), card.path, ...agreed([card]), '--json'),
    );
    assert.is(told[0]?.verdict, 'verified', told[0]?.problem);
    assert.ok((await card.read(0, 24 * MIB)).equals(await readFile(image)));
  });
});

test.run();
