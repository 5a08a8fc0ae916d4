// Numbers are shown as people read them.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatBytes } from '../../../src/lib/bytes.ts';
import { addSample, describeUpdate, formatDuration, rateOf, type Sample } from '../../../src/ui/rate.ts';

test('bytes have three figures and never four', () => {
  const shown = [0, 999, 1000, 9_994, 9_996, 99_940, 99_960, 742_000_000, 999_600_000, 1_050_000_000].map(formatBytes);
  assert.equal(shown, [
    '0 B',
    '999 B',
    '1.00 kB',
    '9.99 kB',
    '10.0 kB',
    '99.9 kB',
    '100 kB',
    '742 MB',
    '1.00 GB',
    '1.05 GB',
  ]);
});

test('durations change their unit without showing 60', () => {
  const shown = [0, 59.94, 59.96, 125, 3599.6, 3720].map(formatDuration);
  assert.equal(shown, ['0.0 s', '59.9 s', '1 min 00 s', '2 min 05 s', '1 h 00 min', '1 h 02 min']);
});

test('a rate is of the last five seconds and needs half a second', () => {
  let samples: Sample[] = [];
  for (let at = 0; at <= 10_000; at += 1000)
    samples = addSample(samples, { at, done: at < 5000 ? 0 : (at - 5000) * 2 });
  assert.is(rateOf(samples), 2000);
  assert.is(
    rateOf([
      { at: 0, done: 0 },
      { at: 400, done: 9 },
    ]),
    undefined,
  );
  assert.equal(addSample(samples, { at: 11_000, done: 1 }), [{ at: 11_000, done: 1 }]);
});

test('an update is one line: count, rate, remaining time, message', () => {
  const samples = [
    { at: 0, done: 0 },
    { at: 1000, done: 10_000_000 },
  ];
  const update = { done: 10_000_000, total: 100_000_000, unit: 'bytes', message: 'libc6' } as const;
  assert.is(describeUpdate(update, samples), '10.0 MB of 100 MB · 10.0 MB/s · 9 s left · libc6');
  assert.is(describeUpdate({ done: 1, total: 1, unit: 'packages' }), '1 of 1 package');
  assert.is(describeUpdate({ done: 3, unit: 'files' }), '3 files');
  assert.is(describeUpdate({ message: 'reading' }), 'reading');
});

test.run();
