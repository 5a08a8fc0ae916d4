// Cards that come and go while somebody looks on: choosing one of a list, `piimg drives --watch`.
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';
import { piimgCommand } from '../helpers/built.ts';
import { fakeLsblk, type FakeReader } from '../helpers/fake-lsblk.ts';
import { atTerminal, MIB, plainImage } from '../helpers/flashing.ts';
import { withCard, type Card } from '../helpers/rig/card.ts';
import { temporaryFolder } from '../helpers/temporary.ts';

/** As long as a person needs to put a card in: more than one look at the disks. */
const WHILE = 2500;
const PATH = process.env.PATH ?? '';

async function withReader(work: (card: Card, reader: FakeReader, folder: string) => Promise<void>): Promise<void> {
  const folder = temporaryFolder();
  const programs = path.join(folder, 'programs');
  await mkdir(programs);
  await withCard({ size: 64 * MIB, content: 'random' }, async (card) => {
    const reader = await fakeLsblk(programs, card.path);
    process.env.PATH = `${programs}:${PATH}`;
    try {
      await work(card, reader, folder);
    } finally {
      process.env.PATH = PATH;
    }
  });
}

test('without a card it waits; one that is put in appears, is chosen, and its name is typed once more', async () => {
  await withReader(async (card, reader, folder) => {
    const image = await plainImage(folder);
    const name = path.basename(card.path);
    const flashing = atTerminal(
      folder,
      ['flash', image, '--no-login'],
      [
        [/Which one\? \[.*\] /, 'sdz9'],
        [/Which one\?[^]*Which one\? /, name],
        [new RegExp(`Type ${name} to go on`), name],
      ],
    );
    await sleep(WHILE);
    await reader.putIn();
    const { screen, code } = await flashing;
    assert.is(code, 0, screen);
    assert.match(screen, /No card is in a reader of this computer[^]*Reader of a test[^]*Which one\?/);
    assert.match(screen, /written, read back and right: safe to remove/);
  });
});

test('a card that is taken out again while it is chosen is in the list no more; Ctrl-C ends it', async () => {
  await withReader(async (card, reader, folder) => {
    const image = await plainImage(folder);
    await reader.putIn();
    const before = await card.read(0, card.size);
    const flashing = atTerminal(
      folder,
      ['flash', image, '--no-login'],
      [[/Which one\?[^]*No card is in a reader/, '\u0003']],
    );
    await sleep(WHILE);
    await reader.takeOut();
    const { screen, code } = await flashing;
    assert.is(code, 130, screen);
    assert.ok((await card.read(0, card.size)).equals(before), 'the card was touched');
  });
});

test('drives --watch tells of each that comes and goes, for people and for programs, until Ctrl-C', async () => {
  await withReader(async (card, reader, folder) => {
    const watch = (...more: string[]) => {
      const stop = new AbortController();
      const lines: string[] = [];
      const running = run([...piimgCommand(), 'drives', '--watch', ...more], {
        cwd: folder,
        env: { FORCE_COLOR: '0' },
        signal: AbortSignal.any([stop.signal, AbortSignal.timeout(60_000)]),
        onLine: (line, stream) => stream === 'stdout' && lines.push(line),
      }).catch(() => {});
      return { lines, end: () => (stop.abort(), running) };
    };
    const people = watch();
    const programs = watch('--json');
    // Both have looked once.
    while (people.lines.length === 0 || programs.lines.length === 0) await sleep(100);
    await sleep(WHILE);
    await reader.putIn();
    await sleep(WHILE);
    await reader.takeOut();
    await sleep(WHILE);
    await Promise.all([people.end(), programs.end()]);
    const marked = people.lines.filter((line) => /^[+-] /.test(line));
    assert.match(marked[0] ?? '', new RegExp(`^\\+ .*${card.path}`), people.lines.join('\n'));
    assert.is(marked.at(-1), `- ${card.path}`, people.lines.join('\n'));
    const listed = programs.lines.map((line) =>
      (JSON.parse(line) as { device: { path: string }; verdict: string }[])
        .filter(({ device }) => device.path === card.path)
        .map(({ verdict }) => verdict)
        .join(),
    );
    assert.equal(listed, ['', 'card', '']);
  });
});

test.run();
