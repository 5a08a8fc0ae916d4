// A Mac is asked for its disks: programs that print what diskutil, hdiutil and df do there.
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { listMac } from '../../../src/flash/list-mac.ts';
import { judge, type Needed } from '../../../src/flash/judge.ts';

type Value = string | number | boolean | Value[] | { [key: string]: Value };

function xml(value: Value): string {
  if (typeof value === 'string') return `<string>${value.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</string>`;
  if (typeof value === 'number') return `<integer>${value}</integer>`;
  if (typeof value === 'boolean') return `<${value}/>`;
  if (Array.isArray(value)) return `<array>${value.map(xml).join('')}</array>`;
  const entries = Object.entries(value).map(([key, one]) => `<key>${key}</key>${xml(one)}`);
  return `<dict>${entries.join('')}</dict>`;
}

/** One line for each thing asked; `exit 1` for any other, as for disks that are gone. */
const program = (answers: Record<string, string>): string =>
  `#!/bin/sh\ncase "$*" in\n${Object.entries(answers)
    .map(([words, text]) => `"${words}") cat <<'END'\n${text}\nEND\n;;`)
    .join('\n')}\n*) echo "Could not find disk" >&2; exit 1 ;;\nesac\n`;

async function withMac(programs: Record<string, Record<string, string>>, look: () => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-mac-'));
  const before = process.env.PATH;
  try {
    for (const [name, answers] of Object.entries(programs)) {
      await writeFile(path.join(folder, name), program(answers));
      await chmod(path.join(folder, name), 0o755);
    }
    process.env.PATH = `${folder}:${before}`;
    await look();
  } finally {
    process.env.PATH = before;
    await rm(folder, { recursive: true });
  }
}

const plist = (value: Value): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<plist version="1.0">${xml(value)}</plist>`;
const df = (source: string): string =>
  `Filesystem 512-blocks Used Available Capacity  Mounted on\n${source} 9 1 8 1% /Volumes/NO NAME`;

/** The stick's computer, with a disk image that lies on the stick, and a disk that is pulled out while one asks. */
async function mac(): Promise<Record<string, Record<string, string>>> {
  const fixture = 'test/fixtures/drives-mac/stick-without-partitions';
  const { info } = JSON.parse(await readFile(`${fixture}.json`, 'utf8')) as { info: Record<string, Value> };
  const list = (await readFile(`${fixture}.plist`, 'utf8')).replace(
    /(<key>AllDisksAndPartitions<\/key>\s*<array>)/,
    `$1${['disk4', 'disk9'].map((id) => xml({ DeviceIdentifier: id, Size: 8_000_000 })).join('')}`,
  );
  const image = { DeviceIdentifier: 'disk4', BusProtocol: 'Disk Image', VirtualOrPhysical: 'Virtual' };
  const infos = Object.entries({ ...info, disk4: image });
  return {
    diskutil: {
      'list -plist': list,
      'apfs list -plist': plist({ Containers: [] }),
      ...Object.fromEntries(infos.map(([disk, one]) => [`info -plist ${disk}`, plist(one)])),
    },
    hdiutil: {
      'info -plist': plist({
        images: [{ 'image-path': '/Volumes/NO NAME/a & b.dmg', 'system-entities': [{ 'dev-entry': '/dev/disk4' }] }],
      }),
    },
    df: {
      '-P /': df('/dev/disk1s5s1'),
      '-P /Volumes/NO NAME/a & b.dmg': df('/dev/disk2'),
      '-P /Volumes/image': df('/dev/disk4'),
      '-P /Volumes/share': df('//ann@server/share'),
    },
  };
}

test('disks, what lies on them, and what a file lies on, through images', async () =>
  withMac(await mac(), async () => {
    const { devices, system, needed, disksBelow } = await listMac('what it runs from');
    assert.equal(
      devices.map(({ path, bus }) => `${path} ${bus}`),
      ['/dev/disk4 loop', '/dev/disk0 nvme', '/dev/disk2 usb'],
    );
    assert.equal(needed, {});
    assert.equal(system[0], { file: '/', what: 'what it runs from' });
    assert.equal(await disksBelow('/'), ['/dev/disk0']);
    assert.equal(await disksBelow('/Volumes/image'), ['/dev/disk4', '/dev/disk2']);
    assert.equal(await disksBelow('/Volumes/share'), []);
    assert.equal(await disksBelow('/no/such'), []);
  }));

test('backups of Time Machine are kept, though the disk is like a card', async () => {
  const programs = await mac();
  const container = { PhysicalStores: [{ DeviceIdentifier: 'disk2' }], Volumes: [{ Roles: ['Backup'] }] };
  const diskutil = { ...programs['diskutil'], 'apfs list -plist': plist({ Containers: [container] }) };
  await withMac({ ...programs, diskutil }, async () => {
    const { devices, needed } = await listMac('');
    const stick = devices.find((device) => device.path === '/dev/disk2');
    assert.ok(stick);
    const judged = (why: Needed): string => judge(stick, why).verdict;
    assert.equal([judged(needed), judged({})], ['refused', 'card']);
    assert.match(judge(stick, needed).reason, /^holds Time Machine's backups/);
  });
});

test('a listing that breaks off, or a diskutil that fails, is an error', async () => {
  const programs = await mac();
  const broken: Record<string, string>[] = [{ 'list -plist': '<plist version="1.0"><dict></dict>' }, {}];
  for (const list of broken) {
    const diskutil = { 'apfs list -plist': plist({ Containers: [] }), ...list };
    await withMac({ ...programs, diskutil }, async () => {
      await listMac('').then(
        () => assert.unreachable(),
        (error: Error) => assert.match(error.message, /not a property list|failed with status 1: diskutil list/),
      );
    });
  }
});

test.run();
