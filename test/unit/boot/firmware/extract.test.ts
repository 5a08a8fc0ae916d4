// The chosen files on the host: unpacked, joined, and checked to be a kernel.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { gzipSync } from 'node:zlib';
import { extractBootFiles } from '../../../../src/boot/firmware/extract.ts';
import { reasonOf } from '../../../../src/boot/firmware/would-not-boot.ts';
import { loadMachine } from '../../../../src/boot/machine.ts';
import { startFiles } from '../../../../src/boot/firmware/start.ts';
import { packageRoot } from '../../../../src/host/package-root.ts';
import { CARD, deviceTree, DOWNSTREAM, partitionOf } from './card.ts';

/** The beginning of an arm64 Image, and more than one chunk of what follows. */
const IMAGE = Buffer.concat([Buffer.from('MZ'.padEnd(56, '\0')), Buffer.from('ARM\x64'), Buffer.alloc(5000, 'k')]);

const file = (name: string, what: string) => ({ path: name, what: `the ${what} that config.txt names` });

async function extract(kernel: Buffer, initramfs: string[] = [], look?: (folder: string) => Promise<void>) {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-firmware-'));
  const card = partitionOf({
    'kernel8.img': kernel,
    'my.dtb': DOWNSTREAM,
    'a.gz': 'abcde',
    'b.gz': 'fghi',
    'c.gz': 'j',
  });
  try {
    const selection = {
      kernel: file('kernel8.img', 'kernel'),
      deviceTree: file('my.dtb', 'device tree'),
      initramfs: initramfs.map((name) => file(name, 'initramfs')),
      cmdline: 'quiet',
      miniUart: [],
      warnings: [],
    };
    const files = await extractBootFiles(card, selection, folder);
    const read = async (name: string | undefined) => (name === undefined ? undefined : await readFile(name));
    return {
      names: await readdir(folder),
      cmdline: files.cmdline,
      kernel: await read(files.kernel),
      initramfs: (await read(files.initramfs))?.toString(),
      deviceTree: await read(files.deviceTree),
    };
  } catch (error) {
    await look?.(folder);
    throw error;
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function finding(kernel: Buffer): Promise<string | undefined> {
  try {
    await extract(kernel, [], async (folder) => assert.equal(await readdir(folder), [], 'something is left'));
  } catch (error) {
    const reason = reasonOf(error);
    if (reason === undefined) throw error;
    return reason.message;
  }
  return undefined;
}

test('a kernel as it is and one in gzip give the same Image', async () => {
  assert.equal((await extract(IMAGE)).kernel, IMAGE);
  assert.equal((await extract(gzipSync(IMAGE))).kernel, IMAGE);
});

test('device tree and arguments go along; without an initramfs there is none', async () => {
  const { deviceTree, cmdline, initramfs, names } = await extract(IMAGE);
  assert.equal(deviceTree, DOWNSTREAM);
  assert.is(cmdline, 'quiet');
  assert.is(initramfs, undefined);
  assert.is(names.length, 2);
});

test('several initramfs follow one another, each from a multiple of four on', async () => {
  assert.is((await extract(IMAGE, ['a.gz'])).initramfs, 'abcde');
  assert.is((await extract(IMAGE, ['a.gz', 'b.gz', 'c.gz'])).initramfs, 'abcde\0\0\0fghij');
});

test('what is no arm64 kernel is a finding, and nothing of it is left', async () => {
  const none =
    /^this card would not boot: kernel8\.img on its boot partition, the kernel that config\.txt names, is no arm64/;
  assert.match((await finding(Buffer.from('a 32-bit kernel'.repeat(10)))) ?? '', none);
  assert.match((await finding(IMAGE.subarray(0, 50))) ?? '', none);
  assert.match((await finding(gzipSync('something else'))) ?? '', /is no arm64 kernel in gzip/);
  assert.is(await finding(IMAGE), undefined);
});

test('damaged gzip is a finding, and nothing of it is left', async () => {
  const packed = gzipSync(IMAGE);
  assert.match((await finding(packed.subarray(0, -10))) ?? '', /is damaged gzip/);
  packed.writeUInt32BE(0xffffffff, 20);
  assert.match((await finding(packed)) ?? '', /is damaged gzip/);
});

test('the device tree is told of the machine', async () => {
  const machine = await loadMachine('raspi4b', [path.join(packageRoot, 'qemu/machines')]);
  const network = { device: 'usb-net', macs: ['b8:27:eb:00:00:00', 'b8:27:eb:00:00:01'] as [string, string] };
  const nodes = { aliases: { ethernet0: '/net' }, gpu: { status: 'okay' }, net: {} };
  const files = {
    ...CARD,
    'config.txt': 'kernel=a.img\ndevice_tree=my.dtb',
    'a.img': IMAGE,
    'my.dtb': deviceTree(nodes),
  };
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-firmware-'));
  try {
    const { boot, warnings } = await startFiles(partitionOf(files), { ...machine, network }, folder);
    assert.match(boot.cmdline, 'smsc95xx.macaddr=B8:27:EB:00:00:00 root=');
    const net = { 'local-mac-address': '\xb8\x27\xeb\0\0' };
    assert.equal(await readFile(boot.deviceTree), deviceTree({ ...nodes, gpu: { status: 'disabled' }, net }));
    assert.equal(warnings, []);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.run();
