// Which disks could be cards: computers as people have reported them, and the rules one by one.
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device } from '../../../src/flash/device.ts';
import { judge } from '../../../src/flash/judge.ts';
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
    const disks = parseLsblk(JSON.stringify(lsblk), cardTypes).filter(({ kind }) => kind === 'disk');
    const judged = disks.map((device) => judge(device, { needed: {} }));
    const found = Object.fromEntries(judged.map(({ device, verdict, reason }) => [device.path, [verdict, reason]]));
    assert.equal(found, expected);
  });
}

const card: Device = {
  path: '/dev/sdb',
  kind: 'disk',
  bus: 'usb',
  size: 32e9,
  removable: true,
  readOnly: false,
  model: 'Generic STORAGE DEVICE',
  partitions: [],
  mounts: ['/media/pi/bootfs'],
  swap: false,
  stacks: [],
};

test('a card that a desktop has mounted is one all the same', () => {
  assert.is(judge(card, { needed: {} }).verdict, 'card');
});

const refusals: [string, Partial<Device>, Parameters<typeof judge>[1], RegExp][] = [
  [
    'a partition',
    { kind: 'part', parent: '/dev/sdb', path: '/dev/sdb1' },
    { needed: {} },
    /^a partition of \/dev\/sdb$/,
  ],
  ['a logical volume', { kind: 'stack', path: '/dev/dm-0' }, { needed: {} }, /lies on other devices/],
  ['what the image lies on', {}, { needed: { '/dev/sdb': 'the image' } }, /^holds the image$/],
  ['the root', { mounts: ['/'] }, { needed: {} }, /runs from it \(\/\)/],
  ['a home', { mounts: ['/home/ann'] }, { needed: {} }, /runs from it \(\/home\/ann\)/],
  ['swap', { swap: true }, { needed: {} }, /used as swap/],
  ['LUKS', { stacks: ['crypt /dev/mapper/x'] }, { needed: {} }, /in use by crypt/],
  ['an empty reader', { size: 0 }, { needed: {} }, /no card/],
  ['a locked card', { readOnly: true }, { needed: {} }, /only be read/],
  ['a card that is too small', {}, { needed: {}, size: 64e9 }, /^too small: 32\.0 GB for an image of 64\.0 GB$/],
];
for (const [name, change, surroundings, reason] of refusals) {
  test(`${name} is refused, card-like as it is`, () => {
    const judged = judge({ ...card, ...change }, surroundings);
    assert.is(judged.verdict, 'refused');
    assert.match(judged.reason, reason);
  });
}

test('the hardest reason comes first: an NVMe disk with the root is refused, not asked for --allow-fixed', () => {
  const disk: Device = { ...card, bus: 'nvme', removable: false, mounts: ['/'] };
  assert.is(judge(disk, { needed: {} }).verdict, 'refused');
  assert.is(judge({ ...disk, mounts: [] }, { needed: {} }).verdict, 'fixed');
});

test('what is no listing of lsblk is an error', () => {
  assert.throws(() => parseLsblk('{"blockdevices": [{"path": "/dev/sda"}]}'));
  assert.throws(() => parseLsblk('not JSON'));
});

test('layers of an overlay', () => {
  assert.equal(overlayLayers('rw,lowerdir=/a:/b,upperdir=/c,workdir=/d'), ['/a', '/b', '/c']);
  assert.equal(overlayLayers('rw,noatime'), []);
});

test.run();
