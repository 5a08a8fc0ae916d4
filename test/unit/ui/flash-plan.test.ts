// What somebody sees before a card is overwritten: the image, what each card is and holds, and who it becomes.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatFlashPlan } from '../../../src/ui/flash-plan.ts';
import { styleFor } from '../../../src/ui/style.ts';

const plain = styleFor({}, {});
const IMAGE = { name: 'out/web.img', role: 'web', digest: 'a1'.repeat(32), age: 3600, size: 2.6e9, packing: 'none' };
const READER = {
  path: '/dev/sdb',
  size: 32e9,
  model: 'Generic STORAGE DEVICE',
  serial: '000000001206',
  partitions: [{ label: 'bootfs', filesystem: 'vfat' }, { filesystem: 'ext4' }],
  mounts: ['/media/me/bootfs'],
};
const NEW = { path: '/dev/sdc', size: 64e9, model: 'SD card', partitions: [], mounts: [] };

test('each card on a line: device, size, model, serial, what it holds, who it becomes', () => {
  const targets = [
    { device: READER, node: 'pi-web1', resumeFrom: 0 },
    {
      device: NEW,
      node: 'pi-web2',
      resumeFrom: 1e9,
      was: { role: 'db', node: 'pi9', written: '2026-10-01T08:00:00Z' },
    },
  ];
  const [first, ...lines] = formatFlashPlan({ ...IMAGE, mapped: 1.5e9 }, targets, plain).split('\n');
  assert.is(
    first,
    'out/web.img: role web · sha256 a1a1a1a1a1a1 · made 1 h 00 min ago · 2.60 GB · 1.50 GB of it to write',
  );
  const seen = lines.map((line) => line.trim().replaceAll(/ {2,}/g, ' | '));
  assert.equal(seen, [
    '/dev/sdb | 32.0 GB | Generic STORAGE DEVICE | serial 000000001206 | holds bootfs, ext4, mounted at /media/me/bootfs | becomes pi-web1',
    '/dev/sdc | 64.0 GB | SD card | is pi9 of role db, flashed on 2026-10-01 | becomes pi-web2, goes on at 1.00 GB',
  ]);
});

test('an empty card, and an image whose size its end tells', () => {
  const text = formatFlashPlan({ name: 'os.img.xz', packing: 'xz' }, [{ device: NEW, resumeFrom: 0 }], plain);
  assert.match(text, /^os\.img\.xz: packed \(xz\)\n.*nothing known on it/);
});

test('a card of another maker’s image has a node and no role; for a file there is no card', () => {
  const was = { node: 'pi9', written: '2026-10-01T08:00:00Z' };
  assert.match(
    formatFlashPlan(IMAGE, [{ device: NEW, resumeFrom: 0, was }], plain),
    /  was pi9, flashed on 2026-10-01/,
  );
  assert.is(formatFlashPlan({ name: 'os.img', packing: 'none', size: 1e9 }, [], plain), 'os.img: 1.00 GB');
});

test.run();
