// Which disks could be cards: computers as people have reported them, and the rules one by one.
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device } from '../../../src/flash/device.ts';
import { judge, type Needed } from '../../../src/flash/judge.ts';
import { parseLsblk } from '../../../src/flash/lsblk.ts';
import { overlayLayers } from '../../../src/host/block-devices.ts';

interface Fixture {
  source: string;
  cardTypes?: Record<string, string>;
  /** Verdict and reason by path, of every disk that is listed. */
  expected: Record<string, [string, string]>;
  lsblk: object;
}

const folder = 'test/fixtures/drives';
for (const file of readdirSync(folder)) {
  const { source, cardTypes, expected, lsblk } = JSON.parse(readFileSync(`${folder}/${file}`, 'utf8')) as Fixture;
  test(`${file}: ${source}`, () => {
    const disks = parseLsblk(JSON.stringify(lsblk), cardTypes);
    const judged = disks.map((device) => judge(device, {}));
    const found = Object.fromEntries(judged.map(({ device, verdict, reason }) => [device.path, [verdict, reason]]));
    assert.equal(found, expected);
  });
}

test('what lies on a whole disk is shown as a partition would be, and that only where there is none', () => {
  const disk = { path: '/dev/sdb', type: 'disk', size: 32e9, rm: true, ro: false, mountpoints: [], tran: 'usb' };
  const part = { ...disk, path: '/dev/sdb1', type: 'part', fstype: 'vfat', label: 'bootfs' };
  const shown = (more: object): unknown =>
    parseLsblk(JSON.stringify({ blockdevices: [{ ...disk, ...more }] }))[0]?.partitions;
  const whole = { path: '/dev/sdb', size: 32e9 };
  assert.equal(shown({ fstype: 'exfat', label: 'BACKUP' }), [{ ...whole, label: 'BACKUP', filesystem: 'exfat' }]);
  assert.equal(shown({ fstype: 'crypto_LUKS' }), [{ ...whole, filesystem: 'crypto_LUKS' }]);
  assert.equal(shown({ fstype: 'iso9660', children: [part] }), [
    { path: '/dev/sdb1', size: 32e9, label: 'bootfs', filesystem: 'vfat' },
  ]);
  assert.equal(shown({}), []);
});

const card: Device = {
  path: '/dev/sdb',
  bus: 'usb',
  size: 32e9,
  removable: true,
  readOnly: false,
  model: 'Generic STORAGE DEVICE',
  partitions: [],
  mounts: ['/media/pi/bootfs'],
  swap: false,
  stacks: [],
  members: [],
};

test('a card that a desktop has mounted is one all the same', () => {
  assert.is(judge(card, {}).verdict, 'card');
});

const refusals: [string, Partial<Device>, Needed, RegExp][] = [
  ['what the image lies on', {}, { '/dev/sdb': 'the image' }, /^holds the image$/],
  ['the root', { mounts: ['/'] }, {}, /runs from it \(\/\)/],
  ['a home', { mounts: ['/home/ann'] }, {}, /runs from it \(\/home\/ann\)/],
  ['the stick a live system runs from', { mounts: ['/cdrom'] }, {}, /runs from it/],
  ['another one', { mounts: ['/run/live/medium'] }, {}, /runs from it/],
  ['swap', { swap: true }, {}, /used as swap/],
  ['LUKS', { stacks: ['crypt /dev/mapper/x'] }, {}, /in use by crypt/],
  ['ZFS', { members: ['zfs_member'] }, {}, /part of something larger: zfs_member/],
  ['an empty reader', { size: 0 }, {}, /no card/],
  ['a locked card', { readOnly: true }, {}, /only be read/],
];
for (const [name, change, needed, reason] of refusals) {
  test(`${name} is refused, card-like as it is`, () => {
    const judged = judge({ ...card, ...change }, needed);
    assert.is(judged.verdict, 'refused');
    assert.match(judged.reason, reason);
  });
}

test('the hardest reason comes first: an NVMe disk with the root is refused, not asked for --allow-fixed', () => {
  const disk: Device = { ...card, bus: 'nvme', removable: false, mounts: ['/'] };
  assert.is(judge(disk, {}).verdict, 'refused');
  assert.is(judge({ ...disk, mounts: [] }, {}).verdict, 'fixed');
});

test('a SATA disk is none, though its port says that it can be taken out; a card of 1 TB is one', () => {
  assert.is(judge({ ...card, bus: 'sata', mounts: [] }, {}).verdict, 'fixed');
  assert.is(judge({ ...card, bus: 'sd', size: 1_024_175_636_480 }, {}).verdict, 'card');
});

test('what is no listing of lsblk is an error', () => {
  assert.throws(() => parseLsblk('{"blockdevices": [{"path": "/dev/sda"}]}'));
  assert.throws(() => parseLsblk('not JSON'));
});

test('layers of an overlay', () => {
  assert.equal(overlayLayers('rw,lowerdir=/a:/b,upperdir=/c,workdir=/d'), ['/a', '/b', '/c']);
  assert.equal(overlayLayers('rw,lowerdir+=/a,lowerdir+=/b:c,datadir+=/d'), ['/a', '/b:c', '/d']);
  assert.equal(overlayLayers('rw,noatime'), []);
});

test.run();
