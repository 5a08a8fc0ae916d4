// What a flash knows of its image before a byte is written, and what it takes from files beside it.
import { appendFile, open, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openImage } from '../../../src/cli/flashing/image.ts';
import { notedDigest } from '../../../src/cli/flashing/note.ts';
import { sortWords } from '../../../src/cli/flashing/targets.ts';
import { run, type RunResult } from '../../../src/host/exec.ts';
import { bmapXml } from '../../../src/image/bmap.ts';
import { encodeHeader, parseHeader, type ImageHeader } from '../../../src/image/header.ts';
import { HEADER_LBA } from '../../../src/image/layout.ts';
import { encodeMbr, SECTOR } from '../../../src/image/mbr.ts';
import { sha256 } from '../../../src/lib/digest.ts';
import type { PiimgError } from '../../../src/lib/errors.ts';
import { MIB, plainImage } from '../../helpers/flashing.ts';
import { mtools, seedImage } from '../../helpers/seed-image.ts';
import { keyLine } from '../../helpers/ssh-keys.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { piimg } from './piimg.ts';

const signal = new AbortController().signal;

test('a block map without the first block: it is written all the same, for without it no card boots', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder, 4 * MIB);
  const [offset, length] = [MIB, MIB];
  await writeFile(
    path.join(folder, 'plain.bmap'),
    bmapXml(4 * MIB, [{ offset, length, sha256: sha256((await readFile(image)).subarray(offset, offset + length)) }]),
  );
  const { ranges = [] } = await openImage(image, signal);
  assert.equal(
    ranges.map((range) => [range.offset, range.length]),
    [
      [0, 4096],
      // What an earlier image of piimg's, and its card, would say of themselves.
      [64 * 512, 65_536],
      [256 * 512, 4096],
      [offset, length],
    ],
  );
});

/** As OpenWrt makes them: the last partition is larger than what there is of it. */
async function shortImage(folder: string): Promise<{ file: string; bytes: Buffer }> {
  const bytes = await readFile(await plainImage(folder, 4 * MIB));
  encodeMbr(0x1a2b3c4d, [
    { number: 1, type: 0x0c, start: 2048, sectors: 2048 },
    { number: 2, type: 0x83, start: 4096, sectors: 100 * 2048 },
  ]).copy(bytes);
  const file = path.join(folder, 'short.img');
  await writeFile(file, bytes);
  return { file, bytes };
}

/** With those bytes behind it, which may as well be a damaged part of it. */
async function refusedAfterwards(packed: string, more: string): Promise<void> {
  await appendFile(packed, more);
  const to = path.join(path.dirname(packed), 'no.img');
  const { exitCode, stdout } = await piimg(['flash', packed, '--to', to, '--no-login']);
  assert.is(exitCode, 1);
  assert.match(stdout, /damaged.*trailing garbage/);
}

test('an image that ends within its last partition: whole by its packing, its digest or its map, else cut off', async () => {
  const folder = temporaryFolder();
  const { file, bytes } = await shortImage(folder);
  await refuses(openImage(file, signal), /is cut off[\s\S]*--sha256/);
  const digest = sha256(bytes);
  const given = await openImage(file, signal, { sha256: digest });
  assert.match(given.warnings.join(), /reach to byte 106954752, it ends at 4194304/);
  assert.is(given.reach, 102 * MIB);
  await run(['gzip', '-k', file]);
  // With words behind it that are no more of it: gzip warns, and that is all.
  const packed = path.join(folder, 'short.img.gz');
  await refusedAfterwards(packed, 'metadata of a maker');
  await run(['gzip', '-kf', file]);
  await appendFile(packed, Buffer.concat([Buffer.from('metadata FWx0'), Buffer.alloc(12)]));
  for (const [image, more] of [
    [file, ['--sha256', digest]],
    [packed, []],
  ] as const) {
    const to = path.join(folder, 'written.img');
    const { exitCode, stderr } = await piimg(['flash', image, '--to', to, '--no-login', ...more]);
    assert.is(exitCode, 0, stderr);
    assert.ok((await readFile(to)).equals(bytes));
  }
  assert.is((await piimg(['verify', file, path.join(folder, 'written.img')])).exitCode, 0);
  // But not one that ends before its last partition begins, nor one that breaks off.
  await run([
    'sh',
    '-euc',
    'head -c 2000000 "$1" | gzip >"$2"; head -c 2000000 "$3" >"$4"',
    'sh',
    file,
    packed,
    packed,
    `${packed}.cut.gz`,
  ]);
  for (const image of [packed, `${packed}.cut.gz`]) {
    const { exitCode, stdout } = await piimg(['flash', image, '--to', path.join(folder, 'x.img'), '--no-login']);
    assert.is(exitCode, 1);
    assert.match(stdout, /is cut off|damaged/);
  }
});

test('the file of one file system, without a partition: no image of a disk', async () => {
  const file = path.join(temporaryFolder(), 'bootfs.img');
  await run(['mkfs.vfat', '-C', file, '4096']);
  await refuses(openImage(file, signal), /has no partition table/);
});

test('a file to compare that is not there is no bug', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder, 4 * MIB);
  const { exitCode, stderr } = await piimg(['flash', image, '--to', path.join(folder, 'no.img'), '--verify-only']);
  assert.is(exitCode, 2, stderr);
  assert.match(stderr, /There is no file/);
});

test('what is a card and what an image: files below /dev are images', async () => {
  const file = `/dev/shm/piimg-${process.pid}.img`;
  await writeFile(file, '');
  try {
    assert.equal(await sortWords([file, '/dev/gone']), { image: file, cards: [{ path: '/dev/gone' }] });
  } finally {
    await rm(file);
  }
});

test('a card whose flash was broken off is told as that, and who it was to be', async () => {
  const folder = await seedImage();
  await writeFile(path.join(folder, 'me.pub'), `${keyLine()}\n`);
  const words = ['flash', 'web.img', '--to', 'card.img', '--node', 'pi-web1', '--ssh-key', 'me.pub'];
  const flashed = await piimg(words, { cwd: folder });
  assert.is(flashed.exitCode, 0, flashed.stderr);
  assert.is((await piimg(['card', 'card.img'], { cwd: folder })).exitCode, 0);
  const handle = await open(path.join(folder, 'card.img'), 'r+');
  await handle.write(Buffer.alloc(4096), 0, 4096, 0);
  await handle.close();
  const { exitCode, stderr } = await piimg(['card', 'card.img'], { cwd: folder });
  assert.is(exitCode, 1);
  assert.match(stderr, /was not finished when it was flashed \(pi-web1, begun at [\s\S]*piimg ledger/);
});

async function refuses(work: Promise<unknown>, pattern: RegExp): Promise<void> {
  const error = await work.then(
    () => undefined,
    (error: PiimgError) => error,
  );
  assert.match(`${error?.message} ${error?.hint}`, pattern);
  assert.is(error?.exitCode, 2);
}

test('the digest that a build has noted is not that of an image that was changed since', async () => {
  const folder = temporaryFolder();
  const file = await plainImage(folder, 4 * MIB);
  const opened = await openImage(file, signal);
  const header = { buildId: 'ab'.repeat(32) } as Parameters<typeof notedDigest>[0]['header'];
  const manifest = path.join(folder, 'plain.manifest.json');
  await writeFile(
    manifest,
    JSON.stringify({ buildId: header?.buildId, image: { size: 4 * MIB, sha256: 'c'.repeat(64) } }),
  );
  const noted = () => notedDigest({ ...opened, header });
  assert.is(await noted(), 'c'.repeat(64));
  const later = new Date(Date.now() + 60_000);
  await utimes(file, later, later);
  assert.is(await noted(), undefined);
});

test('a packed image whose header has slots beyond all, or none, or is of another system, is written without a look at its seed', async () => {
  const folder = await seedImage();
  const at = (name: string): string => path.join(folder, name);
  const flash = (name: string): Promise<RunResult> =>
    piimg(['flash', at(name), '--to', at('x.img'), '--no-login'], { env: { PIIMG_CACHE: at('cache') } });
  const bytes = await readFile(at('web.img'));
  const header = parseHeader(bytes.subarray(HEADER_LBA * SECTOR));
  for (const slots of [[{ name: 'user-data', offset: 1e13, length: 1 }], []]) {
    const changed = Buffer.from(bytes);
    encodeHeader({ ...header, slots } as ImageHeader).copy(
      changed.fill(0, HEADER_LBA * SECTOR, 128 * SECTOR),
      HEADER_LBA * SECTOR,
    );
    await writeFile(at('odd.img.gz'), gzipSync(changed, { level: 1 }));
    const { exitCode, stderr } = await flash('odd.img.gz');
    assert.is(exitCode, 0, stderr);
    assert.ok((await readFile(at('x.img'))).subarray(0, SECTOR).equals(bytes.subarray(0, SECTOR)));
  }
  for (const name of ['piimg.json', 'piimg-result.json'])
    await mtools(at('web.img'), 'mdel', `::${name}`).catch(() => {});
  await mtools(at('web.img'), 'mdeltree', '::piimg');
  await writeFile(at('stale.img.gz'), gzipSync(await readFile(at('web.img')), { level: 1 }));
  const { exitCode, stderr } = await flash('stale.img.gz');
  assert.is(exitCode, 0, stderr);
  assert.match(stderr, /stale\.img\.gz was a card that held an image of piimg once, and has another one now/);
});

test.run();
