// Images made of small layers, judged by the stock tools: fsck, sfdisk, bmaptool, and the kernel's own ext4.
import { execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assembleImage, type AssembledImage } from '../../src/image/assemble.ts';
import { bmapXml } from '../../src/image/bmap.ts';
import { compressImage } from '../../src/image/compress.ts';
import { digestImage } from '../../src/image/digest.ts';
import { ext4UsedRanges } from '../../src/image/ext4.ts';
import { findInFat, openFat, readFromFat } from '../../src/image/fat.ts';
import { parseHeader } from '../../src/image/header.ts';
import { readerOf, wholeBlocks, type ByteRange } from '../../src/image/ranges.ts';
import type { Layer } from '../../src/layers/layer.ts';
import { minimalSeed } from '../../src/seed/minimal.ts';
import { makeLayer } from '../helpers/image-layers.ts';
import { asRoot } from '../helpers/as-root.ts';
import { imageTools } from '../helpers/image-tools.ts';

const BUILD_ID = 'c0ffee'.repeat(10);
const LONG = `usr/share/${'a'.repeat(120)}/${'b'.repeat(150)}`;
const BOOT = 16_384 * 512;
const ROOT = 1_064_960 * 512;
/** cap_net_bind_service+ep, version 2 (linux/capability.h). */
const CAPABILITY = '0sAQAAAgAEAAAAAAAAAAAAAAAAAAA=';
const work = await mkdtemp(join(tmpdir(), 'piimg-image-'));
process.on('exit', () => {
  const [program = '', ...args] = asRoot(['rm', '-rf', '--', work]);
  execFileSync(program, args);
});

/** Runs a shell script as root (capabilities, foreign owners, loop devices); fails with what it printed. */
async function sh(script: string, ...args: string[]): Promise<string> {
  const [program = '', ...command] = asRoot(['sh', '-euc', script, 'sh', ...args]);
  const { all } = await execa(program, command, { all: true, timeout: 120_000 });
  return all;
}

const LOWER = `
mkdir -p "$1" && cd "$1"
mkdir -p usr/bin usr/share boot/firmware/overlays etc old/deep var/log opaque
echo one > etc/hostname; echo gone > old/deep/file; echo hidden > opaque/lower
cp /bin/ls usr/bin/ping; cp /bin/cat usr/bin/zcat; ln usr/bin/zcat usr/bin/kept; ln usr/bin/zcat usr/bin/also
setfattr -n security.capability -v ${CAPABILITY} usr/bin/ping
mkdir -p "${LONG}" && echo deep > "${LONG}/file"
for n in 59 60 61; do ln -s "$(printf %0\${n}d 0)" "symlink_$n"; done
truncate -s 9M var/log/sparse; printf end >> var/log/sparse
head -c 3000000 /dev/urandom > usr/share/noise; : > etc/empty
echo owned > etc/owned; chown 1234:70000 etc/owned; chmod 4750 etc/owned
chmod 1777 var/log
echo lower > boot/firmware/config.txt; echo fw > boot/firmware/start4.elf; chmod 444 boot/firmware/start4.elf
for n in 1 2 3; do head -c 5000 /dev/urandom > "boot/firmware/overlays/a rather long name $n.dtbo"; done
`;
const UPPER = `
mkdir -p "$1" && cd "$1"
mkdir -p usr/bin etc boot/firmware opaque
echo new > usr/bin/zcat; echo two > etc/hostname; echo upper > boot/firmware/config.txt; echo seen > opaque/upper
`;

const layers: Layer[] = [];
await sh(LOWER, join(work, 'lower'));
await sh(UPPER, join(work, 'upper'));
layers.push(await makeLayer(join(work, 'layer-lower'), join(work, 'lower')));
const hides = { whiteouts: ['old', 'usr/bin/also'], opaque: ['opaque'] };
layers.push(await makeLayer(join(work, 'layer-upper'), join(work, 'upper'), hides));

/** What the merged root must be, by hand: lower with upper's changes. */
await sh(
  `cp -a "$1/lower" "$1/expected" && cd "$1/expected" && rm -rf old opaque usr/bin/also usr/bin/zcat boot/firmware/*
   cp -a "$1/upper/usr" "$1/upper/etc" "$1/upper/opaque" . && chmod 1777 var/log`,
  work,
);

const runTool = await imageTools();
function assemble(name: string, from: Layer[] = layers, more: { size?: number } = {}): Promise<AssembledImage> {
  return assembleImage({
    layers: from,
    buildId: BUILD_ID,
    diskId: 0x1a2b3c4d,
    role: 'web',
    base: 'debian-trixie',
    seed: minimalSeed(BUILD_ID),
    bootFiles: [{ path: 'cmdline.txt', content: Buffer.from('root=PARTUUID=1a2b3c4d-02\n') }],
    out: join(work, name),
    sourceDateEpoch: 1_700_000_000,
    runTool,
    step: { update: () => {} },
    ...more,
  });
}
const IMAGE = join(work, 'first.img');
const image = await assemble('first.img');

/** fsck of both file systems and a comparison of every file, owner, mode and link with what is expected. */
async function judge(disk: string): Promise<void> {
  await sh(
    `part() { dd if="$1" of="$1.part" bs=1M iflag=skip_bytes,count_bytes skip=$2 count=$3 conv=sparse status=none; }
     part "$1" ${BOOT} $((1048576 * 512)); fsck.vfat -n "$1.part"; rm "$1.part"
     part "$1" ${ROOT} $(($(stat -c %s "$1") - ${ROOT})); e2fsck -fn "$1.part"
     mkdir -p "$1.mount"; mount -o loop,ro,noload "$1.part" "$1.mount"
     trap 'umount "$1.mount"; rm -rf "$1.part"' EXIT
     state() ( cd "$1"; find . -path ./lost+found -prune -o -printf '%p %y %m %U:%G %l\\n' | sort; find . -type f -exec sha256sum {} + | sort -k 2 )
     state "$2" > "$1.expected"; state "$1.mount" > "$1.found"; diff "$1.expected" "$1.found"
     getfattr -h --absolute-names -e base64 -n security.capability "$1.mount/usr/bin/ping" | grep -F ${CAPABILITY}
     [ "$(stat -c %h "$1.mount/usr/bin/kept")" = 1 ]`,
    disk,
    join(work, 'expected'),
  );
}

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
  const digester = await digestImage(IMAGE, image.size);
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
