// `piimg flash` onto bad cards: each is told as what it is, none of them boots, and none keeps another one back.
import { readFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run, type Running } from '../../src/host/exec.ts';
import type { FlashedCard } from '../../src/flash/write/types.ts';
import { asRoot } from '../helpers/as-root.ts';
import {
  agreed,
  flashedOf,
  MIB,
  piimg,
  plainImage,
  startPiimg,
  untilMoved,
  type FlashedJson,
} from '../helpers/flashing.ts';
import type { Behaviour } from '../helpers/rig/behaviour.ts';
import { isBootable, withCard, withCards, type Card } from '../helpers/rig/card.ts';
import { temporaryFolder } from '../helpers/temporary.ts';

const SIZE = 64 * MIB;

/** What a bad card is told as; never is it one that boots. */
const BAD: [string, Behaviour, RegExp][] = [
  ['wraps', { real: 16 * MIB, beyond: 'wrap' }, /^reads differently from what was written in /],
  [
    'loses what is beyond',
    { real: 16 * MIB, beyond: 'lost' },
    /^reads differently from what was written in .*first between byte 17825792/,
  ],
  [
    'stores a bit the other way round',
    { flips: [9 * MIB + 5] },
    /^reads differently .*one place, first between byte 9437184 and 10485760/,
  ],
  [
    'cannot write a sector',
    { badWrites: [{ offset: 10 * MIB, length: 1 }] },
    /^cannot be written at byte 10485760 \(sector 20480\): EIO, again and again/,
  ],
  [
    'cannot read a sector',
    { badReads: [{ offset: 10 * MIB, length: 1 }] },
    /^cannot be read at byte 10485760 \(sector 20480\): EIO, again and again/,
  ],
  ['is pulled midway', { after: { written: 8 * MIB, turns: { pulled: true } } }, /EIO|gone/],
  ['has no more room', { real: 16 * MIB, beyond: 'ENOSPC' }, /ends before|cannot be written at byte 16777216/],
];
for (const [name, behaviour, problem] of BAD) {
  test(`a card that ${name} is told as such, keeps no other back, and does not boot`, async () => {
    const folder = temporaryFolder();
    const image = await plainImage(folder);
    await withCards(
      [
        { size: SIZE, ...behaviour },
        { size: SIZE, content: 'random' },
      ],
      async (cards) => {
        const [bad, good] = cards as [Card, Card];
        const { code, cards: told } = flashedOf(
          await piimg(folder, 'flash', image, bad.path, good.path, ...agreed(cards), '--json'),
        );
        assert.is(code, 1);
        assert.is(told[0]?.verdict, 'failed');
        assert.match(told[0]?.problem ?? '', problem);
        assert.is(told[1]?.verdict, 'verified', told[1]?.problem);
        assert.ok((await good.read(0, 24 * MIB)).equals(await readFile(image)));
        assert.not.ok(await isBootable(bad));
      },
    );
  });
}

test('a card that takes a discard and keeps what it holds boots nowhere all the same while it is written', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  await withCard({ size: SIZE, content: await readFile(image), discards: 'ignored' }, async (card) => {
    const { cards: told } = flashedOf(await piimg(folder, 'flash', image, card.path, ...agreed([card]), '--json'));
    assert.is(told[0]?.verdict, 'verified', told[0]?.problem);
    const changes = (await card.requests()).filter(({ kind }) => kind === 'write' || kind === 'discard');
    assert.ok(changes.some(({ kind }) => kind === 'discard'));
    const [first, second] = changes;
    assert.equal(first, { kind: 'write', offset: 0, length: 4096 });
    assert.is(second?.kind, 'discard');
  });
});

test('a card that becomes smaller while it is written is told as such, and does not boot', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  await withCard({ size: SIZE, bytesPerSecond: 8 * MIB }, async (card) => {
    const flashing = piimg(folder, 'flash', image, card.path, ...agreed([card]), '--json');
    await untilMoved(card, 'write', 4 * MIB);
    await card.resize(16 * MIB);
    const { code, cards: told } = flashedOf(await flashing);
    assert.is(code, 1);
    assert.match(told[0]?.problem ?? '', /ends before|cannot be written at byte 16777216|is smaller/);
    assert.not.ok(await isBootable(card));
  });
});

test('a card that cannot even be begun ends the command; nothing is read for it', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  await withCard({ size: SIZE, badWrites: [{ offset: 0, length: 4096 }] }, async (card) => {
    const { code, cards: told } = flashedOf(
      await piimg(folder, 'flash', image, card.path, ...agreed([card]), '--json'),
    );
    assert.is(code, 1);
    assert.match(told[0]?.problem ?? '', /^cannot be written at byte 0 \(sector 0\): EIO, again and again$/);
  });
});

test('a card that hangs for ever is given up; what cannot be read twice goes on to the others, and the program ends', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder, 48 * MIB);
  await withCards(
    [{ size: SIZE, after: { written: 8 * MIB, turns: { hangs: true } } }, { size: SIZE }],
    async (cards) => {
      const [dead, good] = cards as [Card, Card];
      const command = [process.execPath, '--import', 'tsx', 'test/helpers/flash-silent.ts', '3', image];
      let ended: Running | undefined;
      const said = await new Promise<string>((resolve, reject) => {
        const onLine = (line: string): void => resolve(line);
        ended = run(asRoot([...command, dead.path, good.path]), { onLine, signal: AbortSignal.timeout(100_000) });
        ended.catch(reject);
      });
      const flashed = JSON.parse(said) as FlashedCard[];
      assert.match(flashed[0]?.problem ?? '', /^the card has not answered for \d+ seconds/);
      assert.is(flashed[1]?.verdict, 'verified', flashed[1]?.problem);
      assert.ok((await good.read(0, 48 * MIB)).equals(await readFile(image)));
      assert.not.ok(await isBootable(dead));
      // What it answers when it is too late changes nothing, and lets the program end: no system ends one that waits for a device.
      await dead.behave({ hangs: false });
      await ended;
      assert.not.ok(await isBootable(dead));
    },
  );
});

test('a hiccup is no failure: it is tried again, and told', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  await withCard({ size: SIZE, badWrites: [{ offset: 10 * MIB, length: 1 }] }, async (card) => {
    const flashing = piimg(folder, 'flash', image, card.path, ...agreed([card]), '--json');
    const untilTried = async (): Promise<void> => {
      for (;;) {
        const tries = (await card.requests()).filter(({ kind, offset }) => kind === 'write' && offset >= 10 * MIB);
        if (tries.length > 1) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    await untilTried();
    await card.behave({ badWrites: [] });
    const { cards: told } = flashedOf(await flashing);
    assert.is(told[0]?.verdict, 'verified', told[0]?.problem);
    // Up to four pieces of 1 MiB go to the card together, as they are there.
    const begun = [7, 8, 9, 10].map((mib) => mib * MIB).join('|');
    assert.match(told[0]?.notes.join() ?? '', new RegExp(`write at byte (${begun}) failed \\(EIO\\); trying again`));
  });
});

test('a card that takes small writes only gets block by block what it refused as a whole', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder, 4 * MIB);
  await withCard({ size: SIZE, largest: 4096 }, async (card) => {
    const { cards: told } = flashedOf(await piimg(folder, 'flash', image, card.path, ...agreed([card]), '--json'));
    assert.is(told[0]?.verdict, 'verified', told[0]?.problem);
    assert.ok((await card.read(0, 4 * MIB)).equals(await readFile(image)));
    assert.is(told[0]?.notes.filter((note) => note.includes('trying again')).length, 3, 'it is known by then');
  });
});

test('one card takes long to forget what it held: the other is done meanwhile', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  await withCards([{ size: SIZE, discards: 'slow' }, { size: SIZE }], async (cards) => {
    const [slow, quick] = cards as [Card, Card];
    const flashing = piimg(folder, 'flash', image, slow.path, quick.path, ...agreed(cards), '--json');
    while (!(await isBootable(quick))) await new Promise((resolve) => setTimeout(resolve, 100));
    const writes = (await slow.requests()).filter(({ kind }) => kind === 'write');
    assert.equal(writes, [{ kind: 'write', offset: 0, length: 4096 }], 'nothing but what keeps it from booting');
    await slow.behave({ discards: 'zeros' });
    const { cards: told } = flashedOf(await flashing);
    assert.equal(
      told.map(({ device, verdict }) => [device, verdict]),
      cards.map(({ path }) => [path, 'verified']),
    );
  });
});

for (const from of ['file', 'stdin']) {
  test(`one card hangs for some seconds: the other is done meanwhile, and it is done afterwards; from ${from}`, async () => {
    const folder = temporaryFolder();
    const image = await plainImage(folder, 96 * MIB);
    const bytes = await readFile(image);
    await withCards(
      [{ size: 128 * MIB, after: { written: 8 * MIB, turns: { hangs: true } } }, { size: 128 * MIB }],
      async (cards) => {
        const [slow, quick] = cards as [Card, Card];
        const words = [slow.path, quick.path, ...agreed(cards), '--json'];
        const flashing =
          from === 'file'
            ? startPiimg(folder, ['flash', image, ...words])
            : startPiimg(folder, ['flash', '-', ...words], undefined, bytes);
        for (;;) {
          if (await isBootable(quick)) break;
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
        assert.not.ok(await isBootable(slow));
        await slow.behave({ hangs: false });
        const { stdout, stderr, exitCode } = await flashing;
        const { cards: told } = flashedOf({ stdout, stderr, code: exitCode });
        assert.equal(
          told.map(({ verdict }) => verdict),
          ['verified', 'verified'] satisfies FlashedJson['cards'][number]['verdict'][],
        );
        assert.ok((await slow.read(0, 96 * MIB)).equals(bytes));
      },
    );
  });
}

test.run();
