// A flash that was stopped: killed at random instants, by Ctrl-C, on another card than before; resumed, it is right. And a writer in a process of its own.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { rootCommand } from '../../src/cli/flashing/opener.ts';
import { startRootOpener } from '../../src/cli/flashing/root-opener.ts';
import { openImage } from '../../src/cli/flashing/image.ts';
import { sendFrame } from '../../src/cli/flashing/remote.ts';
import type { Tell } from '../../src/flash/write/types.ts';
import { run } from '../../src/host/exec.ts';
import { identifyDisk } from '../../src/host/open-disk.ts';
import { asRoot } from '../helpers/as-root.ts';
import { agreed, flashedOf, MIB, piimg, plainImage, startPiimg } from '../helpers/flashing.ts';
import { isBootable, withCard, withCards, type Card } from '../helpers/rig/card.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { random } from '../power/cuts.ts';

const seed = Number(process.env['PIIMG_TEST_SEED'] ?? Math.floor(Math.random() * 1e6));
const next = random(seed);
console.log(`seed ${seed} (PIIMG_TEST_SEED)`);

const SIZE = 64 * MIB;

/** Until so many bytes have been written to the card. */
async function untilWritten(card: Card, bytes: number): Promise<void> {
  for (;;) {
    const written = (await card.requests()).filter(({ kind }) => kind === 'write');
    if (written.reduce((sum, { length }) => sum + length, 0) >= bytes) return;
    await sleep(20);
  }
}

test('killed at random instants and resumed: it does not boot before, and is equal afterwards', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder, 48 * MIB);
  await withCard({ size: SIZE, content: 'random', bytesPerSecond: 30e6, seconds: 400 }, async (card) => {
    for (let kill = 0; kill < 2; kill++) {
      const flashing = startPiimg(folder, ['flash', image, card.path, ...agreed([card]), '--resume']);
      const ended = flashing.catch(() => undefined);
      const before = (await card.requests())
        .filter(({ kind }) => kind === 'write')
        .reduce((sum, { length }) => sum + length, 0);
      await untilWritten(card, before + MIB * (2 + next() * 14));
      flashing.kill('SIGKILL');
      await ended;
      assert.not.ok(await isBootable(card));
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
    await untilWritten(card, 30 * MIB);
    flashing.kill('SIGINT');
    const { exitCode, stderr } = await flashing;
    assert.is(exitCode, 130, stderr);
    const again = `Go on with: piimg flash --resume ${image} ${card.path} ${agreed([card]).join(' ')}`;
    assert.ok(stderr.includes(again), stderr);
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

test('a writer in a process of its own, as sudo starts it, writes what this one would', async () => {
  const folder = temporaryFolder();
  const file = await plainImage(folder);
  await withCards(
    [
      { size: SIZE, content: 'random' },
      { size: SIZE, content: 'random', bytesPerSecond: 40e6 },
    ],
    async (cards) => {
      const signal = AbortSignal.timeout(120_000);
      const image = await openImage(file, signal);
      // As much as a seed: more than a pipe takes before somebody reads it.
      const content = Buffer.alloc(256 * 1024, 'mine');
      const patches = [{ offset: 5 * MIB + 4096, length: content.length, content }];
      const plan = {
        source: image.source,
        ranges: image.ranges,
        size: image.size,
        least: image.least,
        mode: 'write+verify' as const,
        wipe: false,
        discard: true,
        cards: await Promise.all(
          cards.map(async (card) => ({ name: card.path, disk: await identifyDisk(card.path), patches, resumeFrom: 0 })),
        ),
      };
      const ended: string[] = [];
      const tell: Tell = (name, event) => {
        if (event.type === 'ended') ended.push(name);
      };
      const opener = await startRootOpener(asRoot(rootCommand()), signal);
      const flashed = await opener.write(plan, tell);
      await opener.end();
      assert.equal(ended.sort(), cards.map((card) => card.path).sort());
      assert.equal(
        flashed.map(({ verdict, problem }) => `${verdict} ${problem}`),
        ['verified undefined', 'verified undefined'],
      );
      const wanted = await readFile(file);
      content.copy(wanted, 5 * MIB + 4096);
      for (const card of cards) assert.ok((await card.read(0, wanted.length)).equals(wanted));
    },
  );
});

test('an image that ends too early, was changed, or unpacks to more than the card has: told, and nothing boots', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  const { run } = await import('../../src/host/exec.ts');
  await run([
    'sh',
    '-euc',
    'xz -k -0 "$1"; head -c 9000000 "$1.xz" >"$2/short.xz"; cp "$1.xz" "$2/bad.xz"; printf x | dd of="$2/bad.xz" bs=1 seek=9000000 conv=notrunc status=none; { cat "$1"; head -c 64M /dev/zero; } | gzip -1 >"$2/large.gz"; zstd -q "$1" -o "$2/good.zst"',
    'sh',
    image,
    folder,
  ]);
  const cases: [string, RegExp][] = [
    ['short.xz', /short\.xz.*(is damaged|cut off|ends)/],
    ['bad.xz', /bad\.xz.*(is damaged|cut off|ends)/],
    ['large.gz', /the card ends before byte 33554432/],
  ];
  for (const [name, problem] of cases) {
    await withCard({ size: 32 * MIB, content: 'random' }, async (card) => {
      const { code, stdout, stderr } = await piimg(
        folder,
        'flash',
        path.join(folder, name),
        card.path,
        ...agreed([card]),
      );
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

/** What the writer of root's is asked, for one card. */
async function orderFor(file: string, card: Card, signal: AbortSignal) {
  const { source, ranges, size, least } = await openImage(file, signal);
  const cards = [{ name: card.path, disk: await identifyDisk(card.path), patches: [], resumeFrom: 0 }];
  return { source, ranges, size, least, mode: 'write+verify' as const, wipe: false, discard: false, cards };
}

test('a writer in a process of its own that is stopped midway says so, and ends', async () => {
  const file = await plainImage(temporaryFolder(), 48 * MIB);
  await withCard({ size: SIZE, bytesPerSecond: 15e6, seconds: 400 }, async (card) => {
    const stopping = new AbortController();
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(120_000)]);
    const plan = await orderFor(file, card, signal);
    const opener = await startRootOpener(asRoot(rootCommand()), signal);
    const writing = opener.write(plan, () => {});
    await untilWritten(card, 8 * MIB);
    stopping.abort(new Error('stopped'));
    const [stopped] = await writing;
    await opener.end();
    assert.is(stopped?.verdict, 'stopped', stopped?.problem);
    assert.not.ok(await isBootable(card));
  });
});

test('a writer in a process of its own ends in order when piimg dies, in the midst of a piece', async () => {
  const file = await plainImage(temporaryFolder(), 48 * MIB);
  await withCard({ size: SIZE, content: 'random', seconds: 400 }, async (card) => {
    const plan = await orderFor(file, card, AbortSignal.timeout(60_000));
    const pipe = new PassThrough();
    const writer = run(asRoot(rootCommand()), { input: pipe, okCodes: [0, 1], signal: AbortSignal.timeout(60_000) });
    await sendFrame(pipe, { type: 'plan', id: 1, plan });
    await untilWritten(card, 1);
    // A frame of a piece of 1 MiB, of which there is no more than its first words.
    const head = Buffer.from(
      JSON.stringify({ type: 'chunk', reader: 1, chunk: { offset: 0, length: MIB, digest: '' } }),
    );
    const lengths = Buffer.alloc(8);
    lengths.writeUInt32LE(head.length, 0);
    lengths.writeUInt32LE(MIB, 4);
    pipe.end(Buffer.concat([lengths, head, Buffer.alloc(1000)]));
    // It has told what it came to, though nobody listens.
    assert.match((await writer).stdout, '"verdict":"stopped"');
    assert.not.ok(await isBootable(card));
  });
});

test.run();
