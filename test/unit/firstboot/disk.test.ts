// A data disk: formatted when it is empty, refused when it is not, and known again after a power cut.
import { mkdir, open, readFile, truncate } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { becomes, fails, withRoot, type Root } from '../../helpers/first-boot.ts';

const DISK = { step: 'disk', name: 'data', device: '/dev/data', mount: '/srv/my data' };
const SIZE = 64 * 2 ** 20;

/** A disk that is a file: lsblk and mount are stand-ins, blkid and mkfs.ext4 are real. */
async function withDisk(root: Root): Promise<string> {
  await mkdir(root.machine.at('dev'), { recursive: true });
  const file = root.machine.at('dev/data');
  await (await open(file, 'a')).close();
  await truncate(file, SIZE);
  const row = { path: file, size: SIZE, serial: 'S1', mountpoints: [null], ro: false };
  await root.write('lsblk.json', JSON.stringify({ blockdevices: [row] }));
  await root.program('lsblk', `cat '${root.dir}/lsblk.json'`);
  await root.write('proc/self/mountinfo', '');
  await root.program(
    'mount',
    `printf '%s\\n' '9 1 8:1 / /srv/my\\040data rw - ext4 /dev/data rw' >'${root.dir}/proc/self/mountinfo'`,
  );
  return file;
}

test('a data disk: formatted when it is empty, mounted, and found again', async () => {
  await withRoot(async (root) => {
    const file = await withDisk(root);
    await becomes(root, [DISK], 'applied');
    const line = /^UUID=(\S+) \/srv\/my\\040data ext4 noatime,nofail 0 2$/m.exec(await root.read('etc/fstab'));
    const uuid = (line?.[1] ?? '').replaceAll('-', '');
    // The superblock's own: ext4's s_uuid, byte 0x68 of it.
    assert.is((await readFile(file)).toString('hex', 1024 + 0x68, 1024 + 0x78), uuid);
    assert.match(await root.read('etc/fstab'), 'PARTUUID=1-02 / ext4');
    await becomes(root, [DISK], 'unchanged');

    // Mounted when it is asked for, by the option x-systemd.automount.
    const mounted = await root.read('proc/self/mountinfo');
    await root.write('proc/self/mountinfo', `8 1 0:30 / /srv/my\\040data rw - autofs systemd-1 rw\n${mounted}`);
    await becomes(root, [DISK], 'unchanged');

    // After a restart it is mounted by fstab, or else once more, and never formatted again.
    await root.write('proc/self/mountinfo', '');
    await becomes(root, [DISK], 'applied');
    assert.is((await root.calls()).filter((call) => call.startsWith('mount ')).length, 2);
    assert.is((await readFile(file)).toString('hex', 1024 + 0x68, 1024 + 0x78), uuid);
  });
});

test('a power cut while it is formatted: it is taken up again, as it is known', async () => {
  await withRoot(async (root) => {
    const file = await withDisk(root);
    await root.program('mkfs.ext4', `printf half | dd of='${file}' conv=notrunc status=none; exit 1`);
    await fails(root, [DISK]);
    await root.program('mkfs.ext4', 'exec /sbin/mkfs.ext4 "$@"');
    await becomes(root, [DISK], 'applied');
  });
});

test('a power cut while it is formatted, and somebody’s disk in the reader when it is taken up again: refused', async () => {
  await withRoot(async (root) => {
    const file = await withDisk(root);
    await root.program('mkfs.ext4', 'exit 1');
    await fails(root, [DISK]);
    await root.machine.run(['/sbin/mkfs.ext4', '-q', '-F', '-L', 'photos', file]);
    assert.match((await fails(root, [DISK])).message, /holds data: ext4 “photos”/);
  });
});

test('another disk that is mounted there is not taken for it', async () => {
  await withRoot(async (root) => {
    await withDisk(root);
    await becomes(root, [DISK], 'applied');
    await root.write('dev/other', '');
    await root.machine.run(['truncate', '-s', '8M', root.machine.at('dev/other')]);
    await root.machine.run(['/sbin/mkfs.ext4', '-q', '-F', root.machine.at('dev/other')]);
    await root.write('proc/self/mountinfo', '9 1 8:1 / /srv/my\\040data rw - ext4 /dev/other rw\n');
    const { message, hint } = await fails(root, [DISK]);
    assert.is(message, '/dev/other is mounted on /srv/my data, not /dev/data');
    assert.match(hint ?? '', 'umount');
  });
});

test('another disk in its place is looked at, though it has the same size and the same reader', async () => {
  await withRoot(async (root) => {
    const file = await withDisk(root);
    await becomes(root, [DISK], 'applied');
    await root.machine.run(['mkfs.ext4', '-q', '-F', '-L', 'photos', file]);
    await root.write('proc/self/mountinfo', '');
    assert.match((await fails(root, [DISK])).message, /holds data: ext4 “photos”/);
  });
});

test('a disk that holds anything is refused, with the words for emptying it', async () => {
  await withRoot(async (root) => {
    const file = await withDisk(root);
    await root.machine.run(['mkfs.ext4', '-q', '-F', '-L', 'photos', file]);
    const { message, hint } = await fails(root, [DISK]);
    assert.match(message, /^\/dev\/data \(.*\) holds data: ext4 “photos”\. It is not formatted\.$/);
    assert.match(hint ?? '', /blkdiscard/);

    const disk = await open(file, 'r+');
    await disk.truncate(0);
    await disk.truncate(SIZE);
    await disk.write('somebody’s', SIZE - 4096);
    await disk.close();
    assert.match((await fails(root, [DISK])).message, /holds data: bytes at \d+ of \d+/);
    assert.not.match(await root.read('etc/fstab'), 'srv');

    const row = { path: file, size: SIZE, serial: null, mountpoints: [null], ro: false };
    const asked = async (change: object): Promise<string> => {
      await root.write('lsblk.json', JSON.stringify({ blockdevices: [{ ...row, ...change }] }));
      return (await fails(root, [DISK])).message;
    };
    assert.match(await asked({ children: [{ path: '/dev/data1' }] }), /has partitions: \/dev\/data1$/);
    assert.match(await asked({ mountpoints: ['/home'] }), /is in use: mounted on \/home$/);
    assert.match(await asked({ ro: true }), /can only be read$/);
    assert.match((await fails(root, [{ ...DISK, device: '/dev/none' }])).message, /^There is no disk \/dev\/none$/);
  });
});

test.run();
