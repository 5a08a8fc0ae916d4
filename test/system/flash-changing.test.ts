// `piimg flash` and disks that change under it: mounted ones, busy ones, another one of the same name.
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';
import { asRoot, scriptAsRoot } from '../helpers/as-root.ts';
import { piimgCommand } from '../helpers/command.ts';
import { agreed, atTerminal, inside, MIB, plainImage, refused, type Said } from '../helpers/flashing.ts';
import { foreignImage } from '../helpers/foreign-image.ts';
import { withCard, type Card, type CardOptions } from '../helpers/rig/card.ts';
import { loopIdentity, untilFree } from '../helpers/rig/users.ts';
import { temporaryFolder } from '../helpers/temporary.ts';

const OPTIONS: CardOptions = { size: 64 * MIB, content: 'random' };

/** Nothing is left for the kernel to write later. */
const MAKE = 'mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0';

test('a mounted card is unmounted; one that is busy is refused; the disk of the folder one is in, of the image, and swap are', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  await mkdir(path.join(folder, 'at'));
  const name = (card: Card): string[] => ['--yes', '--allow-fixed', '--confirm', path.basename(card.path)];
  await withCard(OPTIONS, async (card) => {
    const mounted = `${MAKE} "$CARD"; mount -o noatime "$CARD" "$AT/at"`;
    const busy = await inside(
      card,
      `${mounted}; sleep 15 <"$AT/at" & sleep 0.2`,
      folder,
      image,
      card.path,
      ...name(card),
    );
    refused(busy, /is mounted at .*\/at, and cannot be unmounted/, /lsof/);
    assert.match(busy.stderr, `! ${card.path}: FAILED`);
    assert.not.match(busy.stderr, `= ${card.path}: done`);
    refused(await inside(card, 'cd "$AT/at"', folder, image, card.path, ...name(card)), /holds the folder you are in/);
    const overlay = `mkdir -p "$AT/at/lower" "$AT/top" "$AT/over"; mount -t tmpfs tmpfs "$AT/top"; mkdir "$AT/top/upper" "$AT/top/work"
mount -t overlay overlay -o "lowerdir=$AT/at/lower,upperdir=$AT/top/upper,workdir=$AT/top/work" "$AT/over"; cd "$AT/over"`;
    refused(await inside(card, overlay, folder, image, card.path, ...name(card)), /holds the folder you are in/);
    const within = await inside(
      card,
      'cp "$AT/plain.img" "$AT/at/plain.img"',
      folder,
      path.join(folder, 'at/plain.img'),
      card.path,
      ...name(card),
    );
    refused(within, /holds the image/);
  });
  await withCard(OPTIONS, async (card) => {
    const { code, stderr, touched } = await inside(
      card,
      `${MAKE} "$CARD"; mount -o noatime "$CARD" "$AT/at"`,
      folder,
      image,
      card.path,
      ...name(card),
    );
    assert.is(code, 0, stderr);
    assert.ok(touched, 'the control of all refusals');
    assert.ok((await card.read(0, 24 * MIB)).equals(await readFile(image)));
  });
  await withCard(OPTIONS, async (card) => {
    const swap = await inside(
      card,
      'mkswap -q "$CARD" 2>/dev/null || mkswap "$CARD" >/dev/null; swapon "$CARD"',
      folder,
      image,
      card.path,
      ...name(card),
    );
    refused(swap, /is used as swap/);
  });
});

test('a card whose partition is mounted is unmounted; the folder one is in may not lie there', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  await mkdir(path.join(folder, 'at'));
  const mounted = `printf 'label: dos\\nstart=2048,type=83\\n' | sfdisk -q --no-reread "$CARD"
partx --update "$CARD" 2>/dev/null || partx --add "$CARD"; ${MAKE} "$CARD"p1; mount -o noatime "$CARD"p1 "$AT/at"`;
  await withCard({ ...OPTIONS, partitions: true }, async (card) => {
    const flash = (script: string): Promise<Said> => inside(card, script, folder, image, card.path, ...agreed([card]));
    refused(await flash(`${mounted}; cd "$AT/at"`), /holds the folder you are in/);
    const { code, stderr } = await flash('');
    assert.is(code, 0, stderr);
    assert.ok((await card.read(0, 24 * MIB)).equals(await readFile(image)));
    const { stdout } = await run(card.inside(['findmnt', '-rno', 'SOURCE']));
    assert.not.match(stdout, `${card.path}p1`);
  });
});

const losetup = async (...args: (string | undefined)[]): Promise<string> =>
  (await run(asRoot(['losetup', ...args.map((arg) => arg ?? '')]))).stdout.trim();

test('a disk that stdin comes from, or that lies over its file, is refused and not touched', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  const before = await readFile(image);
  const disk = await losetup('--find', '--show', image);
  try {
    const words = [...piimgCommand(), 'flash', '-', disk, '--allow-fixed', '--confirm', path.basename(disk)];
    for (const stdin of [disk, image]) {
      const { stderr, exitCode } = await run(asRoot(['sh', '-c', 'exec "$@" <"$0"', stdin, ...words]), {
        cwd: folder,
        okCodes: [0, 1, 2, 3],
        signal: AbortSignal.timeout(60_000),
      });
      refused({ code: exitCode, stdout: '', stderr }, /holds the image|is the image itself/, /hint: /);
      assert.ok((await readFile(image)).equals(before), 'the disk was touched');
    }
  } finally {
    await losetup('--detach', disk);
  }
});

test('what a desktop mounts as soon as the card is written is unmounted again: it is safe to take out', async () => {
  const image = await foreignImage('none');
  const folder = path.dirname(image);
  await mkdir(path.join(folder, 'at'));
  // A stand-in for a desktop: the folder of udisks, and somebody who mounts what appears.
  const desktop = (there: string): string => `mount -t tmpfs none /run; ${there}
(for try in $(seq 300); do
  sleep 0.1; partx --update "$CARD" || :; mount "$CARD"p2 "$AT/at" && : >"$AT/mounted" && break
done) >/dev/null 2>&1 &`;
  for (const [there, mounted] of [
    ['mkdir /run/udisks2', false],
    [':', true],
  ] as const) {
    await withCard({ ...OPTIONS, partitions: true }, async (card) => {
      const { code, stderr } = await inside(card, desktop(there), folder, image, card.path, ...agreed([card]));
      assert.is(code, 0, stderr);
      for (let tries = 0; tries < 200 && !existsSync(path.join(folder, 'mounted')); tries++) await sleep(50);
      await rm(path.join(folder, 'mounted'));
      const { stdout } = await run(card.inside(['findmnt', '-rno', 'SOURCE']));
      assert.is(stdout.includes(`${card.path}p2`), mounted, mounted ? 'negative control' : 'left mounted');
    });
  }
});

test('another disk of the same name and size, put in while the question waits, is refused and not touched', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  const [one, two] = ['one', 'two'].map((name) => path.join(folder, name));
  for (const file of [one, two]) await writeFile(file ?? '', Buffer.alloc(64 * MIB, 7));
  const disk = await losetup('--find', '--show', one);
  try {
    const swap = async (): Promise<void> => {
      const listed = await loopIdentity(disk);
      await losetup('--detach', disk);
      // Whoever looks at disks may have it open still.
      await untilFree(disk, listed);
      await losetup(disk, two);
    };
    const asked = /Type loop\d+ to go on/;
    const { code, screen } = await atTerminal(
      folder,
      ['flash', image, disk, '--allow-fixed'],
      [
        [asked, swap],
        [asked, path.basename(disk)],
      ],
    );
    assert.is(code, 3, screen);
    assert.match(screen, 'is not the disk any more that was shown');
    assert.ok((await readFile(two ?? '')).equals(Buffer.alloc(64 * MIB, 7)));
  } finally {
    // What failed says more than that it is detached already.
    await losetup('--detach', disk).catch(() => {});
  }
});

/** Of root: opens the disk while it is free, held, another one of its name, and smaller, once a line comes from stdin. */
const OPENING = `
import { once } from 'node:events';
const { identifyDisk, openDisk } = await import(process.argv[1]);
const said = (disk) => openDisk(disk, true).then((open) => open, (error) => console.log(error.exitCode, error.message));
const listed = await identifyDisk(process.argv[2]);
const held = await said(listed);
await said(listed);
await held.close();
await (await said(listed)).close();
await said({ ...listed, sequence: '0' });
console.log('now');
await once(process.stdin, 'data');
await said(listed);
process.exit();
`;

test('a disk that changed between listing and opening is refused, and so is one that something holds', async () => {
  await withCard({ size: 16 * MIB }, async (card) => {
    const module = new URL('../../src/host/open-disk.ts', import.meta.url).href;
    const input = new PassThrough();
    const lines: string[] = [];
    await run(scriptAsRoot(OPENING, module, card.path), {
      input,
      signal: AbortSignal.timeout(60_000),
      onLine(line) {
        lines.push(line);
        if (line === 'now') void card.resize(8 * MIB).then(() => input.end('\n'));
      },
    });
    const [held = '', other = '', now, smaller = ''] = lines;
    assert.match(held, /^3 .* is in use/);
    assert.match(other, /^3 .* is not the disk any more that was shown/);
    assert.is(now, 'now');
    assert.match(smaller, /^3 .* is not the disk any more/);
  });
});

test.run();
