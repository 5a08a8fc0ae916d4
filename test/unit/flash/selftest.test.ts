// `piimg doctor --selftest`: a right list of disks passes, and each thing that may be wrong with one is found.
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatSelftest } from '../../../src/cli/commands/doctor.ts';
import type { Device } from '../../../src/flash/device.ts';
import { parseDiskutil, readPlist } from '../../../src/flash/diskutil.ts';
import { judge, type Judgement } from '../../../src/flash/judge.ts';
import { selftest, type Witnesses } from '../../../src/flash/selftest.ts';
import { parseMount, parseMountinfo } from '../../../src/host/disk-witnesses.ts';
import { EXIT } from '../../../src/lib/errors.ts';
import { styleFor } from '../../../src/ui/style.ts';
import { piimg } from '../cli/piimg.ts';

const disk = (path: string, rest: Partial<Device>): Device => ({
  path,
  bus: 'usb',
  size: 32e9,
  removable: true,
  readOnly: false,
  model: '',
  partitions: [],
  mounts: [],
  swap: false,
  stacks: [],
  members: [],
  ...rest,
});

const root = disk('/dev/nvme0n1', { bus: 'nvme', mounts: ['/', '/home/ann'], swap: true });
const work = disk('/dev/sda', { mounts: ['/mnt/work disk'] });
const card = disk('/dev/sdb', { mounts: ['/media/ann/bootfs'] });
const empty = disk('/dev/sdc', { size: 0 });
const kept = { '/dev/sda': 'the folder you are in' };

const DEVICES =
  '/dev/nvme0n1 /dev/nvme0n1p2 /dev/mapper/home /dev/sda /dev/sda1 /dev/sdb /dev/sdb1 /dev/sdc /dev/sr0'.split(' ');

const linux: Witnesses = {
  mounts: [
    { source: 'proc', place: '/proc' },
    { source: '/dev/nvme0n1p2', place: '/' },
    { source: '/dev/mapper/home', place: '/home/ann' },
    { source: '/dev/sda1', place: '/mnt/work disk' },
    { source: '/dev/sdb1', place: '/media/ann/bootfs' },
    { source: '/dev/sr0', place: '/media/ann/film' },
  ],
  df: [
    { source: '/dev/nvme0n1p2', place: '/' },
    { source: '/dev/sda1', place: '/mnt/work' },
  ],
  swap: ['/dev/nvme0n1p3', '/dev/zram0'],
  folder: '/mnt/work disk/project',
  devices: DEVICES,
};

const list = (...devices: Device[]): Judgement[] => devices.map((device) => judge(device, kept));
const right = list(root, work, card, empty);
const results = (disks: Judgement[], witnesses: Witnesses): string =>
  selftest(disks, witnesses)
    .map(({ result }) => result)
    .join(' ');

test('a right list passes', () => {
  assert.is(results(right, linux), 'ok ok ok ok ok ok');
});

const allowed = (path: string): Judgement[] =>
  right.map((one) => (one.device.path === path ? { ...one, verdict: 'card', reason: 'in a USB reader' } : one));

const wrongs: [string, Judgement[], Partial<Witnesses>, string, RegExp][] = [
  [
    'a path that is none',
    right,
    { devices: linux.devices.filter((one) => one !== '/dev/sdb') },
    'failed ok ok ok ok ok',
    /sdb is not there/,
  ],
  [
    'a size that is missing',
    list(root, work, card, { ...empty, partitions: [{ path: '/dev/sdc1', size: 1 }] }),
    {},
    'failed ok ok ok ok ok',
    /no size/,
  ],
  [
    'a disk that is not listed',
    list(root, work, empty),
    {},
    'ok failed ok ok ok ok',
    /sdb1 at \/media\/ann\/bootfs is on none/,
  ],
  [
    'a mount that only df knows',
    right,
    { df: [{ source: '/dev/sdb1', place: '/mnt/other' }] },
    'ok ok failed ok ok ok',
    /other/,
  ],
  ['the system allowed', allowed('/dev/nvme0n1'), {}, 'ok ok ok failed ok failed', /nvme0n1 is not: in a USB/],
  ['the folder allowed', allowed('/dev/sda'), {}, 'ok ok ok ok failed ok', /sda is not/],
  ['the folder on no disk', list(root, card, empty), {}, 'ok failed failed ok failed ok', /on no listed disk/],
  [
    'swap not seen',
    list({ ...root, swap: false }, work, card, empty),
    {},
    'ok ok ok ok ok failed',
    /nvme0n1p3 is on no listed/,
  ],
  [
    'a swap file allowed',
    allowed('/dev/sda'),
    { folder: '/', swap: ['/mnt/work disk/swap'] },
    'ok ok ok ok ok failed',
    /sda is not/,
  ],
];
for (const [name, disks, change, expected, found] of wrongs) {
  test(`${name} is found`, () => {
    const checks = selftest(disks, { ...linux, ...change });
    assert.is(checks.map(({ result }) => result).join(' '), expected);
    assert.match(checks.map((check) => (check.result === 'failed' ? check.found : '')).join('\n'), found);
  });
}

test('in a container there is nothing to see, rather than something wrong', () => {
  const mounts = [
    { source: 'overlay', place: '/' },
    { source: '/dev/nvme0n1p2', place: '/etc/hosts' },
  ];
  const container: Witnesses = { mounts, df: mounts, swap: [], folder: '/app', devices: [] };
  assert.is(results(right, container), 'none');
  assert.is(results([], linux), 'none');
  // Given one disk of all it hears of.
  assert.is(results(right, { ...container, devices: ['/dev/sdb'] }), 'none none none none none none');
});

test('the last of mounts at a place is what one sees', () => {
  const mounts = [...linux.mounts, { source: 'overlay', place: '/mnt/work disk' }];
  assert.is(results(right, { ...linux, mounts }), 'ok ok ok ok none ok');
});

/** https://github.com/libyal/libfsapfs/issues/47, with the stick of the disks below. */
const mount = `/dev/disk1s5s1 on / (apfs, sealed, local, read-only, journaled)
devfs on /dev (devfs, local, nobrowse)
/dev/disk1s4 on /System/Volumes/VM (apfs, local, noexec, journaled, noatime, nobrowse)
/dev/disk1s1 on /System/Volumes/Data (apfs, local, journaled, nobrowse)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
/dev/disk2 on /Volumes/NO NAME (msdos, local, nodev, nosuid, noowners)
fsapfsmount@macfuse0 on /Volumes/Test (macfuse, synchronous)
`;

test('a Mac passes, and does not when what is mounted is on no disk', () => {
  const folder = 'test/fixtures/drives-mac/stick-without-partitions';
  const { info } = JSON.parse(readFileSync(`${folder}.json`, 'utf8')) as { info: Record<string, object> };
  const { devices } = parseDiskutil(readPlist(readFileSync(`${folder}.plist`, 'utf8')), info);
  const mounts = parseMount(mount);
  const mac: Witnesses = {
    mounts,
    df: [{ source: '/dev/disk2', place: '/Volumes/NO' }],
    swap: ['/System/Volumes/VM/swapfile'],
    folder: '/Users/ann',
    devices: [
      '/dev/disk0',
      '/dev/disk2',
      ...mounts.map(({ source }) => source).filter((one) => one.startsWith('/dev/')),
    ],
  };
  const judged = devices.map((device) => judge(device, {}));
  assert.is(results(judged, mac), 'ok ok ok ok ok ok');
  const [system, stick] = judged;
  assert.ok(system && stick);
  assert.is(results([stick], mac), 'ok failed ok failed failed failed');
  assert.is(results([{ ...system, verdict: 'card' }, stick], mac), 'ok ok ok failed failed failed');
});

test('mounts are read with their blanks', () => {
  assert.equal(
    parseMount(mount).map(({ source, place }) => `${source} ${place}`),
    [
      '/dev/disk1s5s1 /',
      'devfs /dev',
      '/dev/disk1s4 /System/Volumes/VM',
      '/dev/disk1s1 /System/Volumes/Data',
      'map auto_home /System/Volumes/Data/home',
      '/dev/disk2 /Volumes/NO NAME',
      'fsapfsmount@macfuse0 /Volumes/Test',
    ],
  );
  const lines = String.raw`36 35 8:1 / /mnt/work\040disk rw,noatime shared:1 master:2 - ext4 /dev/sda1 rw
37 35 0:29 / / rw - overlay overlay rw,lowerdir=/a
`;
  assert.equal(parseMountinfo(lines), [
    { place: '/mnt/work disk', source: '/dev/sda1' },
    { place: '/', source: 'overlay' },
  ]);
});

test('on this computer the exit code agrees with the checks, and no serial number is told', async () => {
  const { stdout, exitCode } = await piimg(['doctor', '--selftest', '--json']);
  const { ok, checks, disks } = JSON.parse(stdout) as { ok: boolean; checks: { result: string }[]; disks: Judgement[] };
  assert.ok(checks.length > 0);
  assert.is(ok, !checks.some(({ result }) => result === 'failed'));
  assert.is(exitCode, ok ? EXIT.done : EXIT.failed);
  assert.not(disks.some(({ device }) => 'serial' in device));
});

test('says what to do', () => {
  const check = (result: 'ok' | 'failed' | 'none') => ({ name: 'x', result, found: 'y' });
  const say = (...all: ('ok' | 'failed' | 'none')[]): string => formatSelftest(all.map(check), styleFor({}, {}));
  assert.match(say('ok'), /^ok {2}x {2}y\n\nAll is as it should be\.[^]*Please report/);
  assert.match(say('ok', 'none'), /nothing to see[^]*What could be seen is as it should be/);
  assert.match(say('ok', 'failed'), /FAILED[^]*write no card with piimg on this computer/);
});

test.run();
