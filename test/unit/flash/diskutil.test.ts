// Which disks of a Mac could be cards: Macs as people have reported them, and what macOS puts between disks and files.
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseBackups, parseDiskutil, parseImages, readPlist, wholeDisks } from '../../../src/flash/diskutil.ts';
import { judge, type Needed } from '../../../src/flash/judge.ts';

interface Fixture {
  source: string;
  /** Verdict and beginning of the reason by path, of every disk that is listed. */
  expected: Record<string, [string, string]>;
  mounts: Record<string, string[]>;
  /** `diskutil list -plist`, or the name of a file with it. */
  list: object | string;
  /** `diskutil info -plist` by disk. */
  info: Record<string, object>;
  /** `diskutil apfs list -plist`. */
  apfs?: object;
}

const folder = 'test/fixtures/drives-mac';
const load = (name: string): Fixture => {
  const fixture = JSON.parse(readFileSync(`${folder}/${name}.json`, 'utf8')) as Fixture;
  return typeof fixture.list === 'string'
    ? { ...fixture, list: readPlist(readFileSync(`${folder}/${fixture.list}`, 'utf8')) as object }
    : fixture;
};

const names = readdirSync(folder).filter((file) => file.endsWith('.json'));
for (const name of names.map((file) => file.replace('.json', ''))) {
  const { source, expected, mounts, list, info, apfs = { Containers: [] } } = load(name);
  test(`${name}: ${source}`, () => {
    const { devices, disksBelow } = parseDiskutil(list, info);
    const backups: Needed = {};
    for (const disk of parseBackups(apfs).flatMap(disksBelow)) backups[disk] = "Time Machine's backups";
    const judged = devices.map((device) => judge(device, backups));
    const found = judged.map(({ device, verdict, reason }) => [device.path, [verdict, reason]]);
    assert.equal(Object.fromEntries(found), expected);
    assert.equal(Object.fromEntries(devices.map((device) => [device.path, device.mounts])), mounts);
  });
}

test('what a device lies on, through snapshots, containers, sets and images', () => {
  const below = (name: string, device: string): string[] => {
    const { list, info } = load(name);
    return parseDiskutil(list, info).disksBelow(device);
  };
  assert.equal(below('apple-silicon', '/dev/disk3s3s1'), ['/dev/disk0']);
  assert.equal(below('apple-silicon', '/dev/rdisk0s2'), ['/dev/disk0']);
  assert.equal(below('fusion', '/dev/disk2s1'), ['/dev/disk0', '/dev/disk1']);
  assert.equal(below('corestorage', '/dev/disk1'), ['/dev/disk0']);
  assert.equal(below('raid', '/dev/disk9s1'), ['/dev/disk2', '/dev/disk3']);
  assert.equal(below('disk-images', '/dev/disk49s1'), ['/dev/disk48']);
  assert.equal(below('stick-without-partitions', '/dev/disk2'), ['/dev/disk2']);
});

test('half of something larger is refused though nothing is mounted', () => {
  const { list, info } = load('fusion');
  const unmounted = JSON.parse(JSON.stringify(list).replaceAll(/"(Snapshot)?MountPoint"/g, '"was"')) as object;
  const reasons = parseDiskutil(unmounted, info).devices.map((device) => judge(device, {}).reason);
  assert.equal(reasons, Array(2).fill('part of something larger: APFS on disk0s2 and disk1s2'));
});

test('swap is on the disk that has the VM volume', () => {
  const { list, info } = load('stick-without-partitions');
  assert.equal(
    parseDiskutil(list, info).devices.map(({ path, swap }) => [path, swap]),
    [
      ['/dev/disk0', true],
      ['/dev/disk2', false],
    ],
  );
});

test('a disk that is gone before it was asked for is none, and the others stay', () => {
  const { list, info } = load('built-in-reader');
  assert.equal(wholeDisks(list), ['disk1', 'disk2']);
  for (const answer of [undefined, { Error: true, ErrorMessage: 'Could not find disk' }]) {
    const { devices } = parseDiskutil(list, { ...info, disk2: answer });
    assert.equal(
      devices.map(({ path }) => path),
      ['/dev/disk1'],
    );
  }
});

test('containers that lie on each other end the search', () => {
  const loop = (id: string, on: string): object => ({
    DeviceIdentifier: id,
    APFSPhysicalStores: [{ DeviceIdentifier: on }],
  });
  const { devices, disksBelow } = parseDiskutil(
    { AllDisksAndPartitions: [loop('disk1', 'disk2'), loop('disk2', 'disk1')] },
    {},
  );
  assert.equal([devices, disksBelow('/dev/disk1')], [[], []]);
});

test('a partition is shown with its name and type, but not with the number of a type that has no name', () => {
  const { list, info } = load('built-in-reader');
  const numbered = JSON.parse(
    JSON.stringify(list).replace('"Linux"', '"0FC63DAF-8483-4772-8E79-3D69D8477DE4"'),
  ) as object;
  const [, card] = parseDiskutil(numbered, info).devices;
  assert.equal(card?.partitions, [
    { path: '/dev/disk2s1', size: 58_700_000, label: 'boot', filesystem: 'Windows_FAT_32' },
    { path: '/dev/disk2s2', size: 3_900_000_000 },
  ]);
});

test('disk images by disk', () => {
  const images = [
    {
      'image-path': '/Volumes/card/work.dmg',
      'system-entities': [{ 'dev-entry': '/dev/disk5' }, { 'dev-entry': '/dev/disk5s1' }],
    },
    { 'image-path': '/Library/other.dmg', 'system-entities': [{ 'dev-entry': '/dev/disk7s1' }] },
    { 'image-path': '/no/devices.dmg' },
  ];
  assert.equal(parseImages({ framework: '1', images }), {
    '/dev/disk5': '/Volumes/card/work.dmg',
    '/dev/disk7': '/Library/other.dmg',
  });
});

const head =
  '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://x">\n';
const body = `<plist version="1.0"><dict><key>a</key><string>Ann&apos;s &lt;SD&gt; &#x1f4be; &amp;</string><key>n</key>
<integer>15682240512</integer><key>t</key><true/><key>e</key><string/><key>l</key><array><string>x</string></array></dict></plist>\n`;

test('a property list is read with its entities', () => {
  assert.equal(readPlist(head + body), { a: "Ann's <SD> 💾 &", n: 15_682_240_512, t: true, e: '', l: ['x'] });
});

test('what is no property list, or no list of disks, is an error', () => {
  for (const text of ['', 'Could not find disk: disk9', '{}', head, body.replace('<true/>', '')])
    assert.throws(() => readPlist(text), undefined, text);
  for (let length = 1; length < body.trimEnd().length; length++)
    assert.throws(() => readPlist(head + body.slice(0, length)), undefined, body.slice(0, length));
  assert.throws(() => parseDiskutil({ AllDisks: ['disk0'] }, {}));
  assert.throws(() => parseDiskutil({ AllDisksAndPartitions: [{ Size: 1 }] }, {}));
  assert.throws(() => parseBackups({}));
  assert.throws(() => parseImages([]));
});

test.run();
