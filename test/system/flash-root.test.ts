// What opens cards in a process of its own, as sudo starts it: it writes what this one would, and whoever dies, it ends in order.
import { readFile } from 'node:fs/promises';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openImage } from '../../src/cli/flashing/image.ts';
import { rootCommand } from '../../src/cli/flashing/opener.ts';
import { sendFrame } from '../../src/cli/flashing/remote.ts';
import { startRootOpener } from '../../src/cli/flashing/root-opener.ts';
import type { Tell } from '../../src/flash/write/types.ts';
import { run } from '../../src/host/exec.ts';
import { identifyDisk } from '../../src/host/open-disk.ts';
import { asRoot } from '../helpers/as-root.ts';
import { MIB, plainImage, untilMoved } from '../helpers/flashing.ts';
import { isBootable, withCard, withCards, type Card } from '../helpers/rig/card.ts';
import { temporaryFolder } from '../helpers/temporary.ts';

const SIZE = 64 * MIB;
const SLOW = { size: SIZE, bytesPerSecond: 15e6, seconds: 400 };

/** Of this test's programs; others' have their own. */
const running = async (): Promise<string[]> => {
  const { stdout } = await run(['pgrep', '-f', rootCommand().at(-1) ?? ''], { okCodes: [0, 1] });
  return stdout.split('\n').filter(Boolean);
};

/** Until none is left: what was opened is closed then. */
async function untilGone(): Promise<void> {
  for (const until = Date.now() + 20_000; (await running()).length > 0; await sleep(50))
    assert.ok(Date.now() < until, `still there: ${(await running()).join(' ')}`);
}

/** What it is asked, for one card. */
async function orderFor(file: string, card: Card, signal: AbortSignal) {
  const { source, ranges, size, least } = await openImage(file, signal);
  const cards = [{ name: card.path, disk: await identifyDisk(card.path), patches: [], resumeFrom: 0 }];
  return { source, ranges, size, least, mode: 'write+verify' as const, wipe: false, discard: false, cards };
}

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

test('stopped midway it says so, and ends', async () => {
  const file = await plainImage(temporaryFolder(), 48 * MIB);
  await withCard(SLOW, async (card) => {
    const stopping = new AbortController();
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(120_000)]);
    const plan = await orderFor(file, card, signal);
    const opener = await startRootOpener(asRoot(rootCommand()), signal);
    const writing = opener.write(plan, () => {});
    await untilMoved(card, 'write', 8 * MIB);
    assert.ok((await running()).length > 0, 'the control');
    stopping.abort(new Error('stopped'));
    const [stopped] = await writing;
    await opener.end();
    assert.is(stopped?.verdict, 'stopped', stopped?.problem);
    assert.not.ok(await isBootable(card));
    await untilGone();
  });
});

test('when piimg dies, in the midst of a piece, it stops in order, whether somebody listens or not', async () => {
  const file = await plainImage(temporaryFolder(), 48 * MIB);
  for (const listens of [true, false]) {
    await withCard({ size: SIZE, content: 'random', seconds: 400 }, async (card) => {
      const plan = await orderFor(file, card, AbortSignal.timeout(60_000));
      const pipe = new PassThrough();
      const how = { input: pipe, okCodes: [1], signal: AbortSignal.timeout(60_000) };
      const writer = run(asRoot(rootCommand()), listens ? how : { ...how, stdout: 'stream' });
      await sendFrame(pipe, { type: 'plan', id: 1, plan });
      await untilMoved(card, 'write', 1);
      if (!listens) writer.stdout.destroy();
      // A frame of a piece of 1 MiB, of which there is no more than its first words.
      const chunk = { offset: 0, length: MIB, digest: '' };
      const head = Buffer.from(JSON.stringify({ type: 'chunk', reader: 1, chunk }));
      const lengths = Buffer.alloc(8);
      lengths.writeUInt32LE(head.length, 0);
      lengths.writeUInt32LE(MIB, 4);
      pipe.end(Buffer.concat([lengths, head, Buffer.alloc(1000)]));
      const { stdout, stderr } = await writer;
      if (listens) assert.match(stdout, '"verdict":"stopped"');
      assert.match(stderr, 'The other end of the pipe has gone');
      assert.not.ok(await isBootable(card));
      await untilGone();
    });
  }
});

test('when it dies while it writes, what had ended stays so, and of the rest it is said', async () => {
  const file = await plainImage(temporaryFolder(), 24 * MIB);
  await withCards([{ size: SIZE }, { ...SLOW, bytesPerSecond: 3e6 }], async ([quick, slow]) => {
    if (quick === undefined || slow === undefined) throw new Error('two cards');
    const signal = AbortSignal.timeout(120_000);
    const plan = await orderFor(file, quick, signal);
    const cards = [...plan.cards, ...(await orderFor(file, slow, signal)).cards];
    const opener = await startRootOpener(asRoot(rootCommand()), signal);
    const told: string[] = [];
    const flashed = await opener.write({ ...plan, cards }, (name, event) => {
      if (event.type !== 'ended') return;
      told.push(`${name} ${event.flashed.verdict}`);
      if (name === quick.path) void running().then((pids) => run(asRoot(['kill', '-KILL', ...pids])));
    });
    await opener.end();
    assert.equal(told, [`${quick.path} verified`, `${slow.path} failed`]);
    assert.equal(
      flashed.map(({ verdict }) => verdict),
      ['verified', 'failed'],
    );
    assert.match(flashed[1]?.problem ?? '', /^what wrote it ended: /);
    assert.not.ok(await isBootable(slow));
    await untilGone();
  });
});

test('stopped in a look: the reason, each time, and it ends', () =>
  withCard({ size: SIZE, content: 'random' }, async (card) => {
    const stopping = new AbortController();
    const opener = await startRootOpener(asRoot(rootCommand()), stopping.signal);
    const disk = await opener.look(await identifyDisk(card.path));
    const read = (): Promise<unknown> =>
      disk.read(Buffer.alloc(4096), 0, 4096, 0).then(
        ({ bytesRead }) => bytesRead,
        (error: Error) => error.message,
      );
    assert.is(await read(), 4096);
    const last = read();
    stopping.abort(new Error('stopped'));
    assert.equal([await last, await read(), await read()], ['stopped', 'stopped', 'stopped']);
    await opener.end();
    await untilGone();
  }));

test.run();
