// Cards that come and go while somebody looks on: choosing one of a list, `piimg drives --watch`.
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';
import { piimgCommand } from '../helpers/command.ts';
import { fakeLsblk, type FakeReader } from '../helpers/fake-lsblk.ts';
import { atTerminal, MIB, plainImage } from '../helpers/flashing.ts';
import { withCard, type Card } from '../helpers/rig/card.ts';
import { temporaryFolder } from '../helpers/temporary.ts';

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
    const { screen, code } = await atTerminal(
      folder,
      ['flash', image, '--no-login'],
      [
        [/No card is in a reader of this computer/, () => reader.putIn(true)],
        [/Reader of a test.*[Ll]ock[^]*None of these can be chosen/, () => reader.putIn()],
        [/Reader of a test[^]*Which one\? \[.*\] /, 'sdz9'],
        [/Which one\?[^]*Which one\? /, name],
        [new RegExp(`Type ${name} to go on`), name],
      ],
    );
    assert.is(code, 0, screen);
    assert.match(screen, /written, read back and right: safe to remove/);
  });
});

test('a card that is taken out again while it is chosen is in the list no more; Ctrl-C ends it', async () => {
  await withReader(async (card, reader, folder) => {
    const image = await plainImage(folder);
    await reader.putIn();
    const before = await card.read(0, card.size);
    const { screen, code } = await atTerminal(
      folder,
      ['flash', image, '--no-login'],
      [
        [/Which one\? /, reader.takeOut],
        [/Which one\?[^]*No card is in a reader/, '\u0003'],
      ],
    );
    assert.is(code, 130, screen);
    assert.ok((await card.read(0, card.size)).equals(before), 'the card was touched');
  });
});

test('drives --watch tells of each that comes and goes, for people', async () => {
  await withReader(async (card, reader, folder) => {
    const { screen, code } = await atTerminal(
      folder,
      ['drives', '--watch'],
      [
        [/waiting for cards/, reader.putIn],
        [new RegExp(`^\\+ .*${card.path} `, 'm'), reader.takeOut],
        [new RegExp(`^- ${card.path}\\r?$`, 'm'), '\u0003'],
      ],
    );
    assert.is(code, 130, screen);
  });
});

test('and for programs: all disks on a line, each time', async () => {
  await withReader(async (card, reader, folder) => {
    const cards = (line: string): number =>
      (JSON.parse(line) as { device: { path: string }; verdict: string }[]).filter(
        ({ device, verdict }) => device.path === card.path && verdict === 'card',
      ).length;
    // Disks of this computer may come and go meanwhile: lines about the others.
    const seen: number[] = [];
    const hear = async (line: string): Promise<void> => {
      const now = cards(line);
      if (seen.at(-1) === now) return;
      seen.push(now);
      if (seen.length === 3) watching.kill('SIGINT');
      else await (now === 0 ? reader.putIn() : reader.takeOut());
    };
    const watching = run([...piimgCommand(), 'drives', '--watch', '--json'], {
      cwd: folder,
      okCodes: [130],
      signal: AbortSignal.timeout(60_000),
      onLine: (line, stream) => void (stream === 'stdout' && hear(line)),
    });
    await watching;
    assert.equal(seen, [0, 1, 0]);
  });
});

test.run();
