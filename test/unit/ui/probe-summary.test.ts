// What people read of a probe: the verdict first, then what it rests on, then what to do.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ProbeResult } from '../../../src/flash/probe/types.ts';
import { formatProbe, formatProbePlan } from '../../../src/ui/probe-summary.ts';
import { styleFor } from '../../../src/ui/style.ts';

const plain = styleFor({}, {});
const good: ProbeResult = {
  verdict: 'good',
  size: 31.9e9,
  real: 31.9e9,
  places: 290,
  speed: { sequentialWrite: 24.1e6, sequentialRead: 88e6, randomWrite: 612.3, randomRead: 2103.8, reaches: 'A1' },
  bad: [],
  slips: 0,
  emptied: true,
};
const fake: ProbeResult = {
  verdict: 'fake',
  size: 128e9,
  real: 7.86e9,
  kind: 'loses',
  firstWrong: { offset: 7.86e9, length: 4096, what: 'blank' },
  places: 510,
  bad: [],
  slips: 0,
  emptied: true,
};

test('a good card', () => {
  assert.is(
    formatProbe('/dev/sdb', good, plain),
    `/dev/sdb: GOOD: it has the 31.9 GB that it says
  right at 290 places, and all over its last stretch
  in a row: written at 24.1 MB/s, read at 88.0 MB/s
  here and there: 612 writes and 2104 reads of 4 KiB a second, more than class A1 asks for (500 and 1500)
  It is empty now: its first and last MiB are zeros.`,
  );
});

test('a counterfeit', () => {
  assert.is(
    formatProbe('/dev/sdb', fake, plain),
    `/dev/sdb: FAKE: it says 128 GB and has 7.86 GB
  what is written beyond is lost, without a word
  7860000000 bytes are real; first wrong at byte 7860000000 (sector 15351562)
  It is empty now: no partition table is left.
  hint: Give it back. A file system on it is destroyed as soon as it grows beyond what is real.`,
  );
});

test('many bad ranges are not all shown; what read wrong once is told; so is what could not be emptied', () => {
  const bad = Array.from({ length: 12 }, (_, index) => ({
    offset: index * 8192,
    length: 512,
    what: 'changed' as const,
  }));
  const everyBlock = { bytes: 31.9e9, wrongBytes: 12 * 512, writing: 1300, reading: 362 };
  const text = formatProbe(
    '/dev/sdb',
    { ...good, verdict: 'damaged', bad, everyBlock, slips: 512, emptied: false },
    plain,
  );
  assert.match(text, 'every block: 31.9 GB written in 21 min 40 s, read back in 6 min 02 s, 6.14 kB of it bad');
  assert.match(text, 'bad: 512 bytes at byte 73728 (sector 144): reads otherwise than it was written');
  assert.match(text, 'and 2 more bad ranges');
  assert.match(text, '512 B read right only the second time');
  assert.match(text, 'could not both be zeroed');
});

test('a failed one: what happened, and nothing that is not known', () => {
  const { real: _, speed: __, ...rest } = good;
  const problem = 'failed at byte 4096 (sector 8): EIO';
  const text = formatProbe('/dev/sdb', { ...rest, verdict: 'failed', problem, emptied: false }, plain);
  assert.match(text, /^\/dev\/sdb: FAILED\n {2}failed at byte 4096 \(sector 8\): EIO\n/);
  assert.not.match(text, /right at|has the/);
});

test('before: what it is, and that all is lost', () => {
  const device = {
    path: '/dev/sdb',
    size: 31.9e9,
    model: 'Generic STORAGE',
    partitions: [{ label: 'boot' }, { filesystem: 'ext4' }],
    mounts: ['/media/ann/boot'],
  };
  assert.is(
    formatProbePlan(device, undefined, true, plain),
    `/dev/sdb  31.9 GB  Generic STORAGE  holds boot, ext4, mounted at /media/ann/boot
All that is on it is lost: every block of it is written, and its first and last MiB are zeros afterwards.`,
  );
  const was = { node: 'pi-web1', role: 'web', written: '2026-11-20T10:00:00Z' };
  assert.match(
    formatProbePlan({ ...device, partitions: [], mounts: [] }, was, true, plain),
    'Generic STORAGE  is pi-web1 of role web, flashed on 2026-11-20\n',
  );
});

test.run();
