// What is read from an image before it boots: the role's health list, an identity it must not hold, and why less is known.
import { mkdir, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type BootImage, readBootImage } from '../../../src/cli/boot-image.ts';
import { run } from '../../../src/host/exec.ts';
import { encodeHeader } from '../../../src/image/header.ts';
import { HEADER_LBA } from '../../../src/image/layout.ts';
import { encodeMbr, SECTOR } from '../../../src/image/mbr.ts';

const work = await mkdtemp(path.join(tmpdir(), 'piimg-boot-image-'));
const MIB = 2 ** 20;
const [BOOT, ROOT] = [1 * MIB, 41 * MIB];
const health = [{ check: 'tcp', port: 22, within: 60 }];
const ROLE = { 'usr/lib/piimg/role.json': JSON.stringify({ version: 1, role: 'tiny', health }) };

/** What is read from an image with these files after `damage`: requests to debugfs. */
async function readWith(files: Record<string, string>, ...damage: string[]): Promise<BootImage> {
  const [tree, image] = [path.join(work, 'tree'), path.join(work, 'tiny.img')];
  await rm(tree, { recursive: true, force: true });
  await rm(image, { force: true });
  for (const [name, text] of Object.entries({ 'etc/machine-id': 'uninitialized\n', ...files })) {
    await mkdir(path.join(tree, path.dirname(name)), { recursive: true });
    await writeFile(path.join(tree, name), text);
  }
  const [first, second] = [BOOT, ROOT].map((start) => start / SECTOR);
  await run(['truncate', '-s', String(60 * MIB), image]);
  await run(['mkfs.vfat', '-F', '32', '--offset', String(first), image, String((ROOT - BOOT) / 1024)]);
  await run([
    'mke2fs',
    '-q',
    '-t',
    'ext4',
    '-O',
    'has_journal,extent,filetype',
    '-d',
    tree,
    '-E',
    `offset=${ROOT}`,
    image,
    '16M',
  ]);
  const partitions = [
    { number: 1, type: 0x0c, start: first ?? 0, sectors: (ROOT - BOOT) / SECTOR },
    { number: 2, type: 0x83, start: second ?? 0, sectors: (16 * MIB) / SECTOR },
  ] as const;
  const disk = await open(image, 'r+');
  await disk.write(encodeMbr(1, [...partitions]), 0, SECTOR, 0);
  const header = encodeHeader({ buildId: 'b', role: 'tiny', base: 'none', slots: [], partitions: [], created: 0 });
  await disk.write(header, 0, header.length, HEADER_LBA * SECTOR);
  await disk.close();
  for (const request of damage) await run(['debugfs', '-w', '-R', request, `${image}?offset=${ROOT}`]);
  return readBootImage(image);
}

test('the health list of the role, and nothing odd', async () => {
  const image = await readWith(ROLE);
  assert.equal(image.health, health);
  assert.equal([image.identity, image.warnings, image.unread], [[], [], undefined]);
  assert.is(image.size, 60 * MIB);
  assert.ok(image.allocated > 0 && image.allocated < image.size);
});

test('an image without a role asks for nothing, and that is said', async () => {
  const { health: none, warnings, unread } = await readWith({});
  assert.equal([none, unread], [[], undefined]);
  assert.equal(warnings, ['The image has no /usr/lib/piimg/role.json: no health checks of a role were made.']);
});

test('an image that was copied while it was in use is read, and that is said', async () => {
  const image = await readWith(ROLE, 'feature needs_recovery');
  assert.equal([image.health, image.unread], [health, undefined]);
  assert.match(image.warnings.join(), /its journal holds changes\. They were not read\.$/);
});

for (const [title, files, damage, says] of [
  ['a file system that is damaged', ROLE, 'sif /usr/lib block[0] 0', /damaged at \/usr\/lib\./],
  ['one that cannot be read', ROLE, 'feature encrypt', /features piimg does not read/],
  ['a role that is none', { 'usr/lib/piimg/role.json': '{"health":' }, 'stats', /JSON/],
] as const) {
  test(`${title}: what the role asks for is not known, and that is not nothing`, async () => {
    const { unread, warnings } = await readWith(files, damage);
    assert.match(unread ?? '', says);
    assert.equal(warnings, [unread]);
  });
}

test('host keys and machine ids in the image are named', async () => {
  const { identity } = await readWith({
    ...ROLE,
    'etc/ssh/ssh_host_ed25519_key': 'a key\n',
    'etc/ssh/ssh_host_ed25519_key.pub': 'its other half\n',
    'etc/ssh/sshd_config': 'x\n',
    'etc/machine-id': '0123456789abcdef0123456789abcdef\n',
    'var/lib/dbus/machine-id': '',
  });
  assert.equal(identity, ['/etc/ssh/ssh_host_ed25519_key', '/etc/machine-id']);
});

test('the work is cleaned up', async () => {
  await rm(work, { recursive: true });
});

test.run();
