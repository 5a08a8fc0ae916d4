// Images of any maker are opened, whatever their tables and file systems; what cannot be read is refused with a reason.
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { withImageView } from '../../../src/cli/image-view.ts';
import { run } from '../../../src/host/exec.ts';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';
import type { ImageView } from '../../../src/vendor/view.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { makeVendorImage, type VendorImage } from '../../helpers/vendor-image.ts';

const CMDLINE = 'console=tty1 root=PARTUUID=1a2b3c4d-02 rootwait\n';
const LONG = 'a rather long name with ünïcode.txt';
const BOOT = { 'config.txt': '[all]\n', 'cmdline.txt': CMDLINE, [LONG]: 'long', 'overlays/a.dtbo': 'x'.repeat(5000) };
const ROOT = {
  'etc/hostname': 'pi\n',
  'usr/lib/os-release': 'ID=debian\n',
  'etc/os-release': { link: '../usr/lib/os-release' },
};

const facts = (
  file: string,
): Promise<Pick<ImageView, 'layout' | 'notes'> & { fat: string; text: (string | undefined)[] }> =>
  withImageView(file, async ({ layout, boot, root, notes }) => {
    const read = await Promise.all([
      boot.files.read('CONFIG.TXT'),
      boot.files.read(LONG),
      boot.files.read('overlays/a.dtbo'),
      boot.files.read('overlays'),
      root.files.read('etc/os-release'),
      root.files.read('etc/none'),
    ]);
    assert.equal(await root.files.list('etc'), ['hostname', 'os-release']);
    assert.equal(await boot.files.list('overlays'), ['a.dtbo']);
    assert.equal(await boot.files.list('none'), []);
    assert.is(await root.files.link('etc/os-release'), '../usr/lib/os-release');
    assert.is(await root.files.link('etc/hostname'), undefined);
    const { bits, clusterBytes, label } = boot.facts;
    return { layout, notes, fat: `${bits} ${clusterBytes} ${label}`, text: read.map((one) => one?.toString()) };
  });

const KINDS: Record<string, { image: Partial<VendorImage>; fat: string }> = {
  'FAT16, clusters of 512 bytes': { image: {}, fat: '16 512 bootfs' },
  'FAT16, clusters of 2 KiB': {
    image: { sectors: 32_768, fat: ['-F', '16', '-s', '4', '-n', 'boot'] },
    fat: '16 2048 boot',
  },
  'FAT32, clusters of 512 bytes': {
    image: { sectors: 70_000, fat: ['-F', '32', '-s', '1', '-n', 'BOOT'] },
    fat: '32 512 BOOT',
  },
  'FAT32, clusters of 2 KiB, at 8192': {
    image: { start: 8192, sectors: 280_000, fat: ['-F', '32', '-s', '4', '-n', 'bootfs'] },
    fat: '32 2048 bootfs',
  },
  FAT12: { image: { sectors: 2048, fat: ['-F', '12', '-s', '1', '-n', 'tiny'] }, fat: '12 512 tiny' },
  'a GPT': { image: { table: 'gpt' }, fat: '16 512 bootfs' },
};

for (const [title, { image, fat }] of Object.entries(KINDS)) {
  test(`read: ${title}`, async () => {
    const { file, bootStart } = await makeVendorImage({ boot: BOOT, root: ROOT, ...image });
    const found = await facts(file);
    assert.is(found.fat, fat);
    assert.equal(found.text, ['[all]\n', 'long', 'x'.repeat(5000), undefined, 'ID=debian\n', undefined]);
    assert.equal(found.notes, []);
    assert.equal([found.layout.table, found.layout.size], [image.table ?? 'mbr', (await stat(file)).size]);
    assert.equal(
      found.layout.partitions.map(({ number }) => number),
      [1, 2],
    );
    assert.is((found.layout.partitions[0]?.start ?? 0) * 512, bootStart);
    const { stdout } = await run(['sfdisk', '--json', file]);
    const { partitiontable } = JSON.parse(stdout) as {
      partitiontable: { id: string; partitions: { uuid?: string; start: number; size: number }[] };
    };
    assert.is(found.layout.diskId.toLowerCase(), partitiontable.id.toLowerCase().replace('0x', ''));
    assert.equal(
      found.layout.partitions.map(({ start, sectors }) => [start, sectors]),
      partitiontable.partitions.map(({ start, size }) => [start, size]),
    );
    if (image.table === 'gpt')
      assert.equal(
        found.layout.partitions.map(({ partuuid }) => partuuid),
        partitiontable.partitions.map(({ uuid }) => uuid?.toLowerCase()),
      );
  });
}

const ordinary = await makeVendorImage({ boot: BOOT, root: ROOT });

/** A copy with a few bytes changed. */
async function changed(change: (bytes: Buffer) => Buffer | void, image = ordinary.file): Promise<string> {
  const bytes = await readFile(image);
  const file = join(temporaryFolder(), 'changed.img');
  await writeFile(file, change(bytes) ?? bytes);
  return file;
}

async function refusal(file: string): Promise<PiimgError> {
  const error: unknown = await withImageView(file, async (view) => view.notes).catch((caught: unknown) => caught);
  assert.instance(error, PiimgError);
  return error as PiimgError;
}

const superblock = ordinary.rootStart + 1024;
const REFUSED: Record<string, { file: () => Promise<string>; says: RegExp; exitCode?: number; hint?: RegExp }> = {
  'no file': { file: async () => '/none.img', says: /no image or card/, exitCode: EXIT.usage },
  'a folder': { file: async () => temporaryFolder(), says: /no image or card/, exitCode: EXIT.usage },
  'an empty file': { file: () => changed(() => Buffer.alloc(0)), says: /is empty/, exitCode: EXIT.usage },
  'a packed image': {
    file: () => changed((bytes) => gzipSync(bytes.subarray(0, 4096))),
    says: /is packed/,
    exitCode: EXIT.usage,
    hint: /gunzip -k .*changed\.img/,
  },
  'no partition table': { file: () => changed((bytes) => void bytes.fill(0, 0, 512)), says: /no MBR/ },
  'a FAT that nothing boots from': {
    file: async () => (await makeVendorImage({ boot: { 'readme.txt': '' }, root: ROOT })).file,
    says: /No FAT partition of the image holds what a Raspberry Pi boots/,
  },
  'no FAT': {
    file: () => changed((bytes) => void bytes.fill(0, ordinary.bootStart, ordinary.bootStart + 512)),
    says: /no FAT partition/,
  },
  'no ext4': {
    file: async () => (await makeVendorImage({ boot: BOOT, root: {}, noExt4: true })).file,
    says: /no ext4 partition/,
  },
  'an ext4 with inline_data': {
    file: () => changed((bytes) => void bytes.writeUInt8(bytes.readUInt8(superblock + 0x61) | 0x80, superblock + 0x61)),
    says: /features piimg does not read: inline_data/,
  },
  'an ext4 with features nobody has named': {
    file: () => changed((bytes) => void bytes.writeUInt8(bytes.readUInt8(superblock + 0x63) | 0x40, superblock + 0x63)),
    says: /incompat:0x40000000/,
  },
  'an image that is cut off': {
    file: () => changed((bytes) => bytes.subarray(0, bytes.length - (1 << 20))),
    says: /is cut off: partition 2 goes to byte \d+, but there are \d+/,
  },
  'a chain of clusters in a circle': {
    // Every cluster's next one is cluster 3.
    file: () =>
      changed((bytes) => void bytes.fill('0300', ordinary.bootStart + 512 + 4, ordinary.bootStart + 2048, 'hex')),
    says: /chain of clusters leads nowhere/,
  },
};
for (const [title, { file, says, exitCode = EXIT.failed, hint = /./ }] of Object.entries(REFUSED)) {
  test(`refused: ${title}`, async () => {
    const error = await refusal(await file());
    assert.match(error.message, says);
    assert.is(error.exitCode, exitCode);
    assert.match(error.hint ?? '', hint);
  });
}

test('refused: a damaged GPT', async () => {
  const { file } = await makeVendorImage({ boot: BOOT, root: ROOT, table: 'gpt' });
  assert.match(
    (await refusal(await changed((bytes) => void bytes.fill(0, 512, 520), file))).message,
    /GPT is damaged: its header is gone/,
  );
  assert.match(
    (await refusal(await changed((bytes) => void bytes.writeUInt8(9, 512 + 40), file))).message,
    /checksum of its header/,
  );
  assert.match(
    (await refusal(await changed((bytes) => void bytes.writeUInt8(9, 1024 + 34), file))).message,
    /checksum of its entries/,
  );
});

test('an ext4 that was in use is read, and that is noted', async () => {
  const file = await changed(
    (bytes) => void bytes.writeUInt8(bytes.readUInt8(superblock + 0x60) | 4, superblock + 0x60),
  );
  assert.match((await facts(file)).notes.join(), /in use when it was copied/);
});

test('the root is the partition that cmdline.txt names, else the only ext4, else the largest', async () => {
  const why = async (cmdline: string): Promise<string> => {
    const { file } = await makeVendorImage({ boot: { ...BOOT, 'cmdline.txt': cmdline }, root: ROOT });
    return withImageView(file, async ({ root }) => `${root.facts.partition}: ${root.why}`);
  };
  assert.is(await why(CMDLINE), '2: cmdline.txt says root=PARTUUID=1a2b3c4d-02');
  assert.is(await why('root=/dev/mmcblk0p2'), '2: cmdline.txt says root=/dev/mmcblk0p2');
  assert.is(await why('root=LABEL=rootfs'), '2: cmdline.txt says root=LABEL=rootfs');
  assert.is(await why('quiet'), '2: the only ext4: cmdline.txt names none');
  assert.match(await why('root=/dev/sda7'), '2: the only ext4: cmdline.txt says root=/dev/sda7, which is none of them');
});

test('a file that is longer than a text is not read whole', async () => {
  await withImageView(ordinary.file, async ({ boot, root }) => {
    const error: unknown = await boot.files.read('overlays/a.dtbo', 4999).catch((caught: unknown) => caught);
    assert.instance(error, PiimgError);
    assert.match((error as PiimgError).message, 'longer than anything of its kind: 5000 bytes');
    assert.is((await boot.files.read('overlays/a.dtbo', 5000))?.length, 5000);
    assert.instance(await root.files.read('etc/hostname', 2).catch((caught: unknown) => caught), PiimgError);
  });
});

test.run();
