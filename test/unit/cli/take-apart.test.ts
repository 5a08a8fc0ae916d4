// An image becomes a layer: the same tree, whatever it was packed in; and what cannot be a base leaves nothing behind.
import { createReadStream } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readImageRecord } from '../../../src/cli/image-record.ts';
import { withImageView } from '../../../src/cli/image-view.ts';
import { takeApart } from '../../../src/cli/take-apart.ts';
import { run } from '../../../src/host/exec.ts';
import { treeOfExt4, type TreeEntry } from '../../../src/image/ext4-tree.ts';
import { findLayer } from '../../../src/layers/cache.ts';
import type { Layer, LayerIndex } from '../../../src/layers/layer.ts';
import { readTar } from '../../../src/layers/tar-reader.ts';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';
import { digestOfFile } from '../../../src/lib/digest.ts';
import { imageLayerKey } from '../../../src/plan/image-base.ts';
import { BOOT, SYSTEM, tinyImage } from '../../helpers/tiny-image.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { digestOfTree } from '../../helpers/tree-digest.ts';

const notes: string[] = [];
const work = {
  step: { update() {}, note: (text: string) => void notes.push(text), cached() {}, failed() {} },
  signal: new AbortController().signal,
};

async function layerOf(packed: string, cacheDir = temporaryFolder()): Promise<Layer> {
  const { sha256 } = await takeApart(packed, { name: path.basename(packed) }, cacheDir, work);
  const found = await findLayer({ dir: path.join(cacheDir, 'layers'), tmp: '' }, imageLayerKey(sha256), () => {});
  assert.ok(found);
  assert.equal(await readdir(path.join(cacheDir, 'tmp')), []);
  return found;
}

/** The archive of a layer, as the tree of an ext4 is given. */
async function entriesOf({ dir }: Layer): Promise<TreeEntry[]> {
  const entries: TreeEntry[] = [];
  await readTar(createReadStream(path.join(dir, 'layer.tar')), async (header, data) => {
    const pieces: Buffer[] = [];
    if (header.type === 'file') await data((chunk) => void pieces.push(chunk));
    entries.push({
      header,
      content: async function* () {
        yield* pieces;
      },
    });
  });
  return entries;
}

const image = await tinyImage();
const inRoot = ({ header }: TreeEntry): boolean => !header.path.startsWith('boot/firmware/');

async function* each<T>(items: T[]): AsyncGenerator<T> {
  yield* items;
}

const digestOfImage = (file: string): Promise<string> =>
  withImageView(file, (_view, { read, ext4 }) => digestOfTree(treeOfExt4(read, ext4)));

test('the tree of the layer is that of the image: names, owners, modes, links, devices, attributes, contents; and times', async () => {
  const entries = await entriesOf(await layerOf(image));
  const own = entries.filter(inRoot);
  assert.is(await digestOfTree(each(own)), await digestOfImage(image));
  const found = new Map(entries.map(({ header }) => [header.path, header]));
  assert.equal(found.get('dev/null')?.device, [1, 3]);
  assert.is(found.get('dev/pipe')?.type, 'fifo');
  assert.is(found.get('etc/fstab')?.mtime, 1_600_000_000);
  assert.equal([found.get('etc/owned')?.uid, found.get('etc/owned')?.gid], [1234, 60_000]);
  assert.equal(Object.keys(found.get('etc/acl')?.xattrs ?? {}), ['system.posix_acl_access']);
  const links = ['usr/bin/ping', 'usr/bin/other name'].map((name) => found.get(name)?.type);
  assert.equal(links.sort(), ['file', 'hardlink']);
  const boot = entries.filter((entry) => !inRoot(entry) && entry.header.type === 'file');
  const texts = await Promise.all(
    boot.map(async ({ header, content }) => {
      const pieces: Buffer[] = [];
      for await (const piece of content()) pieces.push(piece);
      return [header.path.replace('boot/firmware/', ''), Buffer.concat(pieces).toString()];
    }),
  );
  assert.equal(Object.fromEntries(texts), BOOT);
});

test('negative control: one byte, one owner, one device more is another tree', async () => {
  const same = await digestOfTree(each((await entriesOf(await layerOf(image))).filter(inRoot)));
  const byte = await tinyImage({ 'home/pi/.profile': 'umask 077\n' });
  const more = await tinyImage({ 'home/pi/more': '' });
  for (const other of [byte, more]) {
    const entries = (await entriesOf(await layerOf(other))).filter(inRoot);
    assert.is(await digestOfTree(each(entries)), await digestOfImage(other));
    assert.is.not(await digestOfTree(each(entries)), same);
  }
  const entries = (await entriesOf(await layerOf(image))).filter(inRoot);
  for (const [file, change] of [
    ['etc/owned', { uid: 0 }],
    ['dev/null', { device: [1, 5] }],
  ] as const) {
    const changed = entries.map((entry) =>
      entry.header.path === file ? { ...entry, header: { ...entry.header, ...change } as TreeEntry['header'] } : entry,
    );
    assert.is.not(await digestOfTree(each(changed)), same);
  }
});

test('packed in whatever way, and with the boot partition at 8192, it is the same layer', async () => {
  const { index } = await layerOf(image);
  const old = await layerOf(await tinyImage({}, { start: 8192 }));
  const facts = ({ entries }: LayerIndex) => entries.map(({ path: name, sha256, uid }) => [name, sha256, uid]);
  assert.equal(facts(old.index), facts(index));
  const xz = `${image}.xz`;
  await run(['xz', '-k', '-0', image]);
  assert.equal((await layerOf(xz)).index, index);
});

test('one that it does not wait for is no matter; an id that the user cannot give is', async () => {
  const lines =
    'PARTUUID=1a2b3c4d-03 /data ext4 defaults,nofail 0 2\n#/dev/sda1 /old ext4 defaults 0 2\ntmpfs /tmp tmpfs size=1g 0 0\n';
  const three = await tinyImage({ 'etc/fstab': `${SYSTEM['etc/fstab']}${lines}` });
  await takeApart(three, { name: 'tiny.img' }, temporaryFolder(), work);
  const apart = (ids: number): Promise<unknown> =>
    takeApart(image, { name: 'tiny.img', ids }, temporaryFolder(), work).catch((error: Error) => error.message);
  assert.match(
    String(await apart(59_999)),
    /tiny\.img cannot be a base for this user: \/etc\/owned belongs to the id 60000/,
  );
  assert.type(await apart(60_000), 'object');
});

test('what its packages need is kept beside it', async () => {
  const cacheDir = temporaryFolder();
  const { sha256, size } = await takeApart(image, { name: 'tiny' }, cacheDir, work);
  assert.is(sha256, await digestOfFile(image));
  assert.is(size, (await readFile(image)).length);
  const record = await readImageRecord(cacheDir, sha256);
  assert.is(record?.firstBoot, undefined, 'cloud-init is told');
  assert.equal(record?.packages, { 'base-files': '13.8', dpkg: '1.22.21' });
  assert.is(await readFile(record?.statusFile ?? '', 'utf8'), SYSTEM['var/lib/dpkg/status']);
  const [archive] = record?.archives ?? [];
  assert.equal([archive?.name, archive?.uri], ['image:debian', 'http://d.example/debian/']);
  assert.is(await readFile(archive?.keyring ?? '', 'utf8'), 'keys');
});

const status = SYSTEM['var/lib/dpkg/status'] ?? '';
/** Commands for debugfs(8). */
const LOOP = 'cd /home/pi\nln /home loop\n';
const HUGE = 'cd /home/pi\nwrite /dev/null huge\nset_inode_field huge size 1099511627776\n';

const NO_CLOUD_INIT = [
  ['a disabled one', { 'etc/cloud/cloud-init.disabled': '' }],
  ['none at all', { 'usr/bin/cloud-init': undefined }],
] as const;
const GENERATOR = { 'usr/lib/systemd/system-generators/systemd-run-generator': '' };

for (const [what, changes] of NO_CLOUD_INIT) {
  test(`cloud-init: ${what}; then its own first boot is told, as far as it can be`, async () => {
    const cacheDir = temporaryFolder();
    const { sha256 } = await takeApart(await tinyImage({ ...changes, ...GENERATOR }), { name: 'tiny' }, cacheDir, work);
    assert.is((await readImageRecord(cacheDir, sha256))?.firstBoot, 'own');
  });
}

const refused: [what: string, make: () => Promise<string>, message: RegExp, exitCode: number][] = [
  [
    'a system for armhf',
    () => tinyImage({ 'var/lib/dpkg/status': status.replaceAll('arm64', 'armhf') }),
    /tiny\.img cannot be a base: its system is for armhf/,
    EXIT.usage,
  ],
  [
    'a boot partition at /boot',
    () => tinyImage({ 'etc/fstab': 'LABEL=boot /boot vfat defaults 0 2\n' }),
    /mounts its boot partition at \/boot, not/,
    EXIT.usage,
  ],
  [
    'a third partition that it waits for',
    () => tinyImage({ 'etc/fstab': `${SYSTEM['etc/fstab']}PARTUUID=1a2b3c4d-03 /data ext4 defaults 0 2\n` }),
    /tiny\.img cannot be a base: .* its \/etc\/fstab waits for PARTUUID=1a2b3c4d-03 \(\/data\)/,
    EXIT.usage,
  ],
  [
    'a cloud-init at work that does not read the boot partition',
    () => tinyImage({ ...GENERATOR, 'etc/cloud/cloud.cfg.d/99_raspberry-pi.cfg': '' }),
    /its cloud-init would not find out who the machine is \(nothing in \/etc\/cloud names the boot/,
    EXIT.usage,
  ],
  [
    'one that somebody has given an identity',
    () => tinyImage({}, { boot: { 'firstrun.sh': '#!/bin/sh\n' } }),
    /carries the identity of a machine already \(firstrun\.sh\)/,
    EXIT.usage,
  ],
  [
    'one that cloud-init was told an id of a machine for',
    () => tinyImage({ ...GENERATOR }, { boot: { 'cmdline.txt': 'root=LABEL=x ds=nocloud;i=piimg-pi1-00 rootwait\n' } }),
    /carries the identity of a machine already \(ds=nocloud;i=piimg-pi1-00\)/,
    EXIT.usage,
  ],
  ...NO_CLOUD_INIT.map(([what, changes]): (typeof refused)[number] => [
    `no first boot that is told anything; cloud-init: ${what}`,
    () => tinyImage(changes),
    /nothing in it would be told on the first boot who it is/,
    EXIT.usage,
  ]),
  [
    'one that was in use',
    () => patched(ROOT + 1024 + 0x60, Buffer.from([0x46])),
    /in use when it was copied/,
    EXIT.usage,
  ],
  ['a folder of the FAT that is in itself', loopInFat, /overlays\/again is in itself/, EXIT.failed],
  ['a name of the ext4 with a slash', () => renamed('.profile', '../a/bcd'), /damaged at \/home\/pi/, EXIT.failed],
  ['two of one name in the ext4', () => renamed('.profile', '.profilf'), /damaged at \/home\/pi/, EXIT.failed],
  ['a folder of the ext4 that is in itself', () => debugged(LOOP), /damaged at \/home\/pi\/loop/, EXIT.failed],
  [
    'files that claim more than there is',
    () => debugged(HUGE),
    /with \/home\/pi\/huge \(1099511627776 bytes\) its files are/,
    EXIT.usage,
  ],
  ['no boot partition', () => cut(512), /cut off/, EXIT.failed],
  ['an image that is cut off', () => cut(40 << 20), /cut off/, EXIT.failed],
  ['no disk at all', () => cut(0, Buffer.alloc(4096, 'text')), /partition table/, EXIT.failed],
];

/** Byte where the root file system of the tiny image begins: after 36 MiB of boot partition. */
const ROOT = 16_384 * 512 + (36 << 20);

async function patched(at: number, bytes: Buffer, of = image): Promise<string> {
  const whole = await readFile(of);
  bytes.copy(whole, at);
  return cut(0, whole);
}

/** The image with a name in its root file system written over by another of the same length, where the folder lists it. */
async function renamed(from: string, to: string): Promise<string> {
  const file = await tinyImage({ 'home/pi/.profilf': '' });
  return patched((await readFile(file)).indexOf(from, ROOT, 'latin1'), Buffer.from(to), file);
}

async function debugged(commands: string): Promise<string> {
  const file = await tinyImage();
  const script = `${file}.commands`;
  await writeFile(script, commands);
  await run(['debugfs', '-w', '-f', script, `${file}?offset=${ROOT}`]);
  return file;
}

/** A folder in /overlays that has its first cluster. */
async function loopInFat(): Promise<string> {
  const file = await tinyImage({}, { boot: { 'overlays/again/': '' } });
  const whole = await readFile(file);
  const slot = (name: string): number => whole.indexOf(name, 16_384 * 512, 'latin1');
  for (const at of [20, 26]) whole.copy(whole, slot('AGAIN   ') + at, slot('OVERLAYS') + at, slot('OVERLAYS') + at + 2);
  return cut(0, whole);
}

async function cut(length: number, bytes?: Buffer): Promise<string> {
  const file = path.join(temporaryFolder(), 'tiny.img');
  await writeFile(file, bytes ?? (await readFile(image)).subarray(0, length));
  return file;
}

for (const [what, make, message, exitCode] of refused) {
  test(`refused: ${what}; the cache has nothing of it`, async () => {
    const cacheDir = temporaryFolder();
    const file = await make();
    const taken = takeApart(file, { name: path.basename(file) }, cacheDir, work);
    const error: unknown = await taken.catch((caught: unknown) => caught);
    assert.instance(error, PiimgError);
    assert.match((error as PiimgError).message, message);
    assert.is((error as PiimgError).exitCode, exitCode);
    assert.equal(await readdir(path.join(cacheDir, 'layers')).catch(() => []), []);
    assert.equal(await readdir(path.join(cacheDir, 'tmp')), []);
  });
}

test('unpacking ends where more comes than was expected', async () => {
  const expected = { sha256: 'a'.repeat(64), size: 1 << 20 };
  const taken = takeApart(image, { name: 'Lite', expected }, temporaryFolder(), work);
  assert.match(((await taken.catch((caught: unknown) => caught)) as PiimgError).message, 'more than 1048576 bytes');
});

test('other bytes than were expected are refused, and both digests named', async () => {
  const cacheDir = temporaryFolder();
  const expected = { sha256: 'a'.repeat(64), size: (await readFile(image)).length };
  const error: unknown = await takeApart(image, { name: 'Lite', expected }, cacheDir, work).catch((e: unknown) => e);
  assert.instance(error, PiimgError);
  const { message, detail = '' } = error as PiimgError;
  assert.match(message, `Lite is not the image it should be`);
  assert.match(message, await digestOfFile(image));
  assert.match(detail, 'a'.repeat(64));
  assert.equal(await readdir(path.join(cacheDir, 'tmp')), []);
});

test.run();
