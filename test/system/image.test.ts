// Images made of small layers, judged by the stock tools: fsck, sfdisk, bmaptool, and the kernel's own ext4.
import { randomFillSync } from 'node:crypto';
import { copyFile, mkdir, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bmapXml } from '../../src/image/bmap.ts';
import { run } from '../../src/host/exec.ts';
import { compressImage } from '../../src/image/compress.ts';
import { digestImage } from '../../src/image/digest.ts';
import { ext4UsedRanges } from '../../src/image/ext4.ts';
import { findInFat, openFat, readFromFat } from '../../src/image/fat.ts';
import { parseHeader } from '../../src/image/header.ts';
import { readerOf, wholeBlocks, type ByteRange } from '../../src/image/ranges.ts';
import { minimalSeed } from '../../src/seed/minimal.ts';
import { assemble, BOOT, BUILD_ID, judge, layers, runTool, sh, work } from '../helpers/small-image.ts';

const IMAGE = join(work, 'first.img');
const image = await assemble('first.img');

test('partition table and both file systems are sound, and hold exactly the merged files', async () => {
  assert.match(
    await sh('sfdisk --verify "$1"; sfdisk -d "$1"', IMAGE),
    /No errors[^]*0x1a2b3c4d[^]*start= +16384, size= +1048576, type=c/,
  );
  await judge(IMAGE);
});

test('the boot partition has the upper file, the added file and the seed at its stated place', async () => {
  const file = await open(IMAGE);
  const fat = await openFat(readerOf(file), BOOT);
  const content = async (path: string) => {
    const found = await findInFat(fat, path);
    return found && (await readFromFat(fat, found)).toString();
  };
  assert.is(await content('config.txt'), 'upper\n');
  assert.is(await content('CMDLINE.TXT'), 'root=PARTUUID=1a2b3c4d-02\n');
  assert.is(
    (await content('overlays/a rather long name 2.dtbo'))?.length,
    (await readFile(join(work, 'lower/boot/firmware/overlays/a rather long name 2.dtbo'))).toString().length,
  );
  assert.is(await content('overlays/none'), undefined);
  for (const { name, content: seed } of minimalSeed(BUILD_ID)) {
    const { offset = 0, length = 0 } = image.slots.find((slot) => slot.name === name) ?? {};
    assert.ok((await readerOf(file)(offset, length)).equals(seed), name);
  }
  const header = parseHeader(await readerOf(file)(64 * 512, 65_536));
  assert.equal(header?.slots, image.slots);
  assert.equal(header?.partitions, image.disk.partitions);
  assert.equal(header?.logins, ['ann']);
  await file.close();
});

test('the same layers give the same bytes, under another name and at another time', async () => {
  const again = await assemble('second.img');
  assert.is(again.sha256, image.sha256);
  assert.is((await sh('sha256sum < "$1"', join(work, 'second.img'))).slice(0, 64), image.sha256);
  assert.ok((await readFile(image.bmapFile)).equals(await readFile(again.bmapFile)));
  await rm(join(work, 'second.img'));
});

/** Copies by `bmap` onto a disk full of random bytes, as a used card is. A disk, because bmaptool empties files first. */
async function copyOntoUsedCard(bmap: string, target: string): Promise<void> {
  const file = await open(target, 'w');
  const noise = Buffer.alloc(16 << 20);
  for (let at = 0; at < image.size; at += noise.length) {
    await file.write(randomFillSync(noise), 0, Math.min(noise.length, image.size - at));
  }
  await file.close();
  await sh(
    `disk=$(losetup --find --show "$1"); trap 'losetup -d "$disk"' EXIT; bmaptool copy --bmap "$2" "$3" "$disk"`,
    target,
    bmap,
    IMAGE,
  );
}

test('bmaptool copies it onto a used card: file systems sound, every file right', async () => {
  const card = join(work, 'card.img');
  await copyOntoUsedCard(image.bmapFile, card);
  await judge(card);
  await rm(card);
});

test('with an identity written to its slots the image fits its block map still; with a byte changed elsewhere it does not', async () => {
  const seeded = join(work, 'seeded.img');
  const copy = (): Promise<string> => sh('bmaptool copy --bmap "$1" "$2" "$2.copy"', image.bmapFile, seeded);
  await run(['cp', '--sparse=always', IMAGE, seeded]);
  const file = await open(seeded, 'r+');
  for (const { offset, length } of image.slots) await file.write(Buffer.alloc(length, 'x'), 0, length, offset);
  await copy();
  const behind = Math.max(...image.slots.map(({ offset, length }) => offset + length));
  await file.write(Buffer.from('changed'), 0, 7, behind);
  await file.close();
  const refused: unknown = await copy().catch((error: unknown) => error);
  assert.match((refused as Error).message, 'checksum mismatch');
  await rm(seeded);
  await rm(`${seeded}.copy`);
});

test('a block map of non-zero blocks would leave a broken card: the copy test sees it', async () => {
  const file = await open(IMAGE);
  const filled: ByteRange[] = [];
  const block = Buffer.alloc(4096);
  const zeros = Buffer.alloc(4096);
  for (let at = 0; at < image.size; at += block.length) {
    await file.read(block, 0, block.length, at);
    if (!block.equals(zeros)) filled.push({ offset: at, length: block.length });
  }
  await file.close();
  const digester = digestImage(IMAGE, image.size);
  const ranges = await digester.readTo(image.size, wholeBlocks(filled, 4096));
  await digester.close();
  const bmap = join(work, 'zero-detected.bmap');
  await writeFile(bmap, bmapXml(image.size, ranges));
  const card = join(work, 'card.img');
  await copyOntoUsedCard(bmap, card);
  const error = await judge(card).catch((reason: unknown) => reason);
  assert.instance(error, Error, 'the broken card passed');
  assert.match((error as Error).message, /out of range|differ/);
  await rm(card);
});

test('a flipped byte in a layer stops the build, is named, and leaves nothing behind', async () => {
  const damaged = join(work, 'layer-damaged');
  await mkdir(damaged);
  await copyFile(join(layers[0]?.dir ?? '', 'layer.tar'), join(damaged, 'layer.tar'));
  const index = layers[0]?.index;
  assert.ok(index);
  const noise = index.entries.find(({ path }) => path === 'usr/share/noise');
  const tar = await open(join(damaged, 'layer.tar'), 'r+');
  const at = (noise?.offset ?? 0) + 1_000_000;
  const [byte = 0] = await readerOf(tar)(at, 1);
  await tar.write(Buffer.from([byte ^ 1]), 0, 1, at);
  await tar.close();
  const error = await assemble('bad.img', [{ dir: damaged, index }]).catch((reason: unknown) => reason);
  assert.match((error as Error).message, 'usr/share/noise is not what was stored');
  assert.equal(
    (await readdir(work)).filter((name) => name.startsWith('bad')),
    [],
  );
});

test('content that does not fit is refused before anything is written', async () => {
  const error = await assemble('small.img', layers, { size: 530 << 20 }).catch((reason: unknown) => reason);
  assert.match((error as Error).message, /too small: this one needs at least \d+ MiB/);
  const least = Number(/at least (\d+)/.exec((error as Error).message)?.[1]) << 20;
  assert.is((await assemble('small.img', layers, { size: least })).size, least);
  await rm(join(work, 'small.img'));
});

test('compression gives the same bytes twice, and the image back', async () => {
  for (const [format, unpack] of [
    ['xz', 'xz -dc'],
    ['zst', 'zstd -dcq'],
    ['gz', 'gzip -dc'],
  ] as const) {
    const packed = await compressImage(IMAGE, format, { jobs: 2, runTool, step: { update: () => {} } });
    const again = await compressImage(IMAGE, format, { jobs: 1, runTool, step: { update: () => {} } });
    assert.equal(again, packed);
    const name = packed.file.split('/').at(-1) ?? '';
    const sum = await runTool(['/tmp'], {
      script: `${unpack} "$0/in" | sha256sum`.replace('$0/in', packed.file),
      writable: [packed.file],
    });
    assert.is(sum.slice(0, 64), image.sha256, name);
    await rm(packed.file);
  }
});

for (const [what, options] of [
  ['as large disks have them', '-b 4096 -O 64bit,^flex_bg,uninit_bg'],
  ['with blocks of 1 KiB', '-b 1024 -O ^64bit'],
  ["with the host's defaults", ''],
] as const) {
  test(`used blocks of an ext4 ${what} are those of dumpe2fs`, async () => {
    const file = join(work, 'other.ext4');
    await writeFile(file, '');
    await truncate(file, 300 << 20);
    await sh(`mke2fs -q -F -t ext4 ${options} -d "$2" "$1"`, file, join(work, 'lower'));
    const handle = await open(file);
    const used = await ext4UsedRanges(readerOf(handle), 0);
    await handle.close();
    const block = Number(/Block size: +(\d+)/.exec(await sh('dumpe2fs -h "$1" 2>&1', file))?.[1]);
    const free = (await sh('dumpe2fs "$1" 2>&1 | sed -n "s/^  Free blocks: //p"', file))
      .split(/[\n,] */)
      .filter(Boolean);
    const freeBlocks = free.reduce((sum, range) => {
      const [from = 0, to = from] = range.split('-').map(Number);
      for (const { offset, length } of used) {
        assert.not(to * block >= offset && from * block < offset + length, `free ${range} is called used`);
      }
      return sum + to - from + 1;
    }, 0);
    assert.is(used.reduce((sum, { length }) => sum + length, 0) + freeBlocks * block, 300 << 20);
    await rm(file);
  });
}

test.run();
