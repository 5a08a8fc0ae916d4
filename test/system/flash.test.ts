// `piimg flash` on real block devices: several cards with identities of their own, bad cards told as such, nothing bootable but what is right.
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { queueOf } from '../../src/host/card-upkeep.ts';
import { run } from '../../src/host/exec.ts';
import { CARD_RECORD } from '../../src/flash/card-record.ts';
import { parseHeader, type ImageHeader } from '../../src/image/header.ts';
import { asRoot } from '../helpers/as-root.ts';
import {
  agreed,
  flashedOf,
  MIB,
  piimg,
  piimgAsRoot,
  plainImage,
  startPiimg,
  type FlashedJson,
  type Said,
} from '../helpers/flashing.ts';
import { isBootable, withCard, withCards, type Card } from '../helpers/rig/card.ts';
import { seedImage } from '../helpers/seed-image.ts';
import { keyLine } from '../helpers/ssh-keys.ts';
import { temporaryFolder } from '../helpers/temporary.ts';

const SIZE = 64 * MIB;

async function headerOf(image: string): Promise<ImageHeader> {
  const bytes = (await readFile(image)).subarray(64 * 512, 64 * 512 + 65_536);
  const header = parseHeader(bytes);
  if (header === undefined) throw new Error('no header');
  return header;
}

/** The card's bytes, with the image's where the card may differ. */
async function withoutOwn(card: Card, image: Buffer, { slots }: ImageHeader): Promise<Buffer> {
  const bytes = Buffer.from(await card.read(0, image.length));
  for (const { offset, length } of [CARD_RECORD, ...slots]) image.copy(bytes, offset, offset, offset + length);
  return bytes;
}

/** Writes `web.img` to cards that `nodes.yaml` gives their identities. */
const flashNodes = (folder: string, pairs: string[], cards: Card[], ...more: string[]): Promise<Said> =>
  piimg(folder, 'flash', 'web.img', ...pairs, '--from', 'nodes.yaml', ...agreed(cards), ...more);

test('two cards from one reading, each with its own identity; what is on them is what piimg seed writes; the ledger knows them', async () => {
  const folder = await seedImage();
  const image = await readFile(path.join(folder, 'web.img'));
  const header = await headerOf(path.join(folder, 'web.img'));
  await writeFile(
    path.join(folder, 'nodes.yaml'),
    `version: 1
users: [{ name: ann, keys: ['${keyLine()}'] }]
nodes:
  pi-web1: { network: { addresses: [192.168.254.11/24] } }
  pi-web2: { network: { addresses: [192.168.254.12/24] } }
`,
  );
  await withCards(
    [
      { size: SIZE, content: 'random' },
      { size: SIZE, content: 'random' },
    ],
    async (cards) => {
      const [one, two] = cards as [Card, Card];
      const pairs = [`pi-web1=${one.path}`, `pi-web2=${two.path}`];
      const said = await flashNodes(folder, pairs, cards, '--json');
      const { code, cards: told, ledger } = flashedOf(said);
      assert.is(code, 0, said.stderr);
      assert.equal(
        told.map(({ node, verdict }) => [node, verdict]),
        [
          ['pi-web1', 'verified'],
          ['pi-web2', 'verified'],
        ],
      );
      assert.match(said.stderr, /pi-web1/);
      for (const card of cards) assert.ok((await withoutOwn(card, image, header)).equals(image), card.path);

      for (const [index, card] of cards.entries()) {
        const node = `pi-web${index + 1}`;
        const copy = path.join(folder, `${node}.img`);
        await writeFile(copy, await card.read(0, image.length));
        const shown = JSON.parse((await piimg(folder, 'seed', 'show', copy, '--json')).stdout) as {
          node: string;
          instanceId: string;
        };
        assert.is(shown.node, node);
        // The same identity given to a file: all but the random part of its instance id is the same, byte by byte.
        const out = path.join(folder, `${node}-seeded.img`);
        const seeded = await piimg(folder, 'seed', 'web.img', '--out', out, '--from', 'nodes.yaml', '--node', node);
        assert.is(seeded.code, 0, seeded.stderr);
        const other = JSON.parse((await piimg(folder, 'seed', 'show', out, '--json')).stdout) as { instanceId: string };
        const [mine, theirs] = [await card.read(0, image.length), await readFile(out)];
        for (const { offset, length } of header.slots) {
          const text = theirs
            .toString('latin1', offset, offset + length)
            .replaceAll(other.instanceId, shown.instanceId);
          assert.is(mine.toString('latin1', offset, offset + length), text);
        }
      }
      const rows = (await readFile(path.join(folder, 'out/ledger.jsonl'), 'utf8'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object);
      assert.equal(rows, ledger);
      for (const [index, row] of ledger.entries()) {
        assert.equal([row.role, row.verdict, row.card.capacity], ['web', 'verified', cards[index]?.size]);
        assert.ok((row.writeRate ?? 0) > 0 && (row.readRate ?? 0) > 0);
      }
      const [first, second] = ledger.map(({ image: { digest }, card }) => ({ image: digest, card: card.digest }));
      assert.match(first?.image ?? '', /^[0-9a-f]{64}$/);
      assert.is(second?.image, first?.image, 'one image');
      assert.is(
        new Set([first?.image, first?.card, second?.card]).size,
        3,
        'on two cards that have bytes of their own',
      );

      const { request = 0, depth = 0 } = (await queueOf(one.path)) ?? {};
      assert.ok(request * depth >= 4096, `a loop takes many requests at once, not ${depth} of ${request} KiB`);
      // Whoever is about to overwrite it is told who it is.
      const again = ['flash', 'web.img', one.path, '--no-login', '--dry-run', ...agreed([one])];
      assert.match((await piimgAsRoot(folder, ...again)).stderr, /  is pi-web1 of role web, flashed on 20\d\d-/);

      // A card knows what it is; a byte that changes is found, by the ledger and by the image.
      assert.match((await piimg(folder, 'card', one.path)).stdout, /pi-web1[^]*yes, every byte/);
      assert.is((await piimg(folder, 'verify', 'web.img', one.path)).code, 0);
      const place = 20 * MIB + 7;
      const [byte = 0] = await one.read(place, 1);
      await one.write(place, Buffer.from([byte ^ 1]));
      const card = await piimg(folder, 'card', one.path);
      assert.is(card.code, 1);
      assert.match(card.stdout, /as flashed +no: in its identity or elsewhere/);
      const verified = await piimg(folder, 'verify', 'web.img', one.path);
      assert.is(verified.code, 1);
      assert.match(verified.stdout, /differs from the image in one place, first between byte 20971520 and/);
    },
  );
});

test('four cards at once, each somebody; discarded before; one row and one line each', async () => {
  const folder = await seedImage();
  const image = await readFile(path.join(folder, 'web.img'));
  const header = await headerOf(path.join(folder, 'web.img'));
  const names = ['pi1', 'pi2', 'pi3', 'pi4'];
  await writeFile(path.join(folder, 'nodes.yaml'), `version: 1\nusers: [{ name: ann, keys: ['${keyLine()}'] }]\n`);
  await withCards(
    names.map(() => ({ size: SIZE, content: 'random' as const })),
    async (cards) => {
      const pairs = names.map((name, index) => `${name}=${cards[index]?.path}`);
      const { code, stdout, stderr } = await flashNodes(folder, pairs, cards, '--progress', 'json');
      assert.is(code, 0, stderr);
      for (const [index, card] of cards.entries()) {
        assert.match(
          stdout,
          new RegExp(`${names[index]} on ${card.path}: written, read back and right: safe to remove`),
        );
        assert.match(stdout, `ssh ann@${names[index]}`);
        assert.ok((await withoutOwn(card, image, header)).equals(image));
        const kinds = (await card.requests()).filter(({ kind, length }) => kind !== 'read' && length > 0);
        assert.equal(
          kinds.slice(0, 2).map(({ kind }) => kind),
          ['write', 'discard'],
          'of the first block, of all',
        );
        assert.match((await piimg(folder, 'card', card.path)).stdout, new RegExp(`${names[index]}[^]*yes, every byte`));
      }
      assert.match(stdout, 'green LED');
      const events = stderr.split('\n').filter(Boolean);
      for (const line of events) assert.type((JSON.parse(line) as { type?: unknown }).type, 'string', line);
      const ledger = await readFile(path.join(folder, 'out/ledger.jsonl'), 'utf8');
      assert.is(ledger.trim().split('\n').length, 4);
    },
  );
});

test('from stdin; compared only; not read back', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  const bytes = await readFile(image);
  await withCard({ size: SIZE, content: 'random' }, async (card) => {
    const flash = async (input: Buffer | undefined, ...words: string[]): Promise<FlashedJson & { code: number }> => {
      const { stdout, stderr, exitCode } = await startPiimg(
        folder,
        ['flash', ...words, card.path, ...agreed([card]), '--json'],
        120,
        input,
      );
      return flashedOf({ stdout, stderr, code: exitCode });
    };
    const piped = await flash(bytes, '-');
    assert.is(piped.cards[0]?.verdict, 'verified', piped.cards[0]?.problem);
    assert.ok((await card.read(0, 24 * MIB)).equals(bytes));

    const same = await flash(undefined, image, '--verify-only');
    assert.equal([same.code, same.cards[0]?.verdict, same.cards[0]?.written], [0, 'verified', 0]);
    const [byte = 0] = await card.read(9 * MIB, 1);
    await card.write(9 * MIB, Buffer.from([byte ^ 1]));
    const other = await flash(undefined, image, '--verify-only');
    assert.equal([other.code, other.cards[0]?.verdict], [1, 'failed']);
    assert.ok(await isBootable(card), 'nothing was written');

    const unread = await flash(undefined, image, '--no-verify');
    assert.equal([unread.code, unread.cards[0]?.verdict, unread.cards[0]?.read], [0, 'written', 0]);

    // What comes before it breaks off looks like an image.
    const cut = await flash(bytes.subarray(0, bytes.length - 4096), '-');
    assert.equal([cut.code, cut.cards[0]?.verdict], [1, 'failed']);
    assert.match(cut.cards[0]?.problem ?? '', /is cut off: it ends at byte 25161728, not 25165824; nothing boots/);
    assert.not.ok(await isBootable(card));
  });
});

test('compared only: any disk may be, also one that is locked; an image that ends within a block says nothing of the rest of it', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  const bytes = (await readFile(image)).subarray(0, 24 * MIB - 1536);
  // Its partition as well.
  bytes.writeUInt32LE(bytes.length / 512 - 2048, 446 + 12);
  await writeFile(image, bytes);
  await withCard({ size: SIZE, content: 'random' }, async (card) => {
    await card.write(0, bytes);
    await run(asRoot(['blockdev', '--setro', card.path]));
    try {
      for (const words of [
        ['verify', image, card.path],
        ['flash', image, card.path, '--verify-only'],
      ]) {
        const { code, stdout, stderr } = await piimg(folder, ...words);
        assert.is(code, 0, stdout + stderr);
      }
      const write = await piimg(folder, 'flash', image, card.path, ...agreed([card]), '--no-login');
      assert.is(write.code, 3, 'negative control: a locked card is not written');
    } finally {
      await run(asRoot(['blockdev', '--setrw', card.path]));
    }
    await card.write(bytes.length - 1, Buffer.from([(bytes.at(-1) ?? 0) ^ 1]));
    assert.is((await piimg(folder, 'verify', image, card.path)).code, 1, 'negative control: its last byte counts');
  });
});

test('without a map all of an old card is written over; with --wipe to its end; with a map its free blocks are left alone', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  const bytes = await readFile(image);
  const flash = async (card: Card, ...more: string[]): Promise<void> => {
    const { cards: told } = flashedOf(
      await piimg(folder, 'flash', image, card.path, ...agreed([card]), '--json', ...more),
    );
    assert.is(told[0]?.verdict, 'verified', told[0]?.problem);
  };
  await withCard({ size: 40 * MIB, content: 'random', discards: 'refused' }, async (card) => {
    const rest = await card.read(24 * MIB, 16 * MIB);
    await flash(card);
    assert.ok((await card.read(0, 24 * MIB)).equals(bytes));
    assert.ok((await card.read(24 * MIB, 16 * MIB)).equals(rest));
    await flash(card, '--wipe');
    assert.ok((await card.read(0, 24 * MIB)).equals(bytes));
    assert.ok((await card.read(24 * MIB, 16 * MIB)).equals(Buffer.alloc(16 * MIB)));
  });
  await run([
    'sh',
    '-c',
    'cp --sparse=always "$1" "$1.sparse" && mv "$1.sparse" "$1" && bmaptool create "$1" -o "${1%.img}.bmap"',
    'sh',
    image,
  ]);
  await withCard({ size: 40 * MIB, content: 'random', discards: 'refused' }, async (card) => {
    const hole = await card.read(12 * MIB, 5 * MIB);
    await flash(card);
    assert.ok((await card.read(12 * MIB, 5 * MIB)).equals(hole), 'left alone');
    const found = Buffer.from(await card.read(0, 24 * MIB));
    bytes.copy(found, 12 * MIB, 12 * MIB, 17 * MIB);
    assert.ok(found.equals(bytes));
    await flash(card, '--wipe');
    assert.ok((await card.read(0, 24 * MIB)).equals(bytes));
  });
});

test.run();
