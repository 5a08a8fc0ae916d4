// One boot judged as a whole, where it cannot go well; where it does, a real one is needed (test/system).
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Expected, judgeBoot } from '../../../../src/boot/checks/boot.ts';
import type { Guest } from '../../../../src/boot/guest.ts';
import type { Reason } from '../../../../src/boot/report.ts';

const expected: Expected = {
  health: [],
  cardSize: 2 ** 32,
  partitions: { boot: { offset: 0 }, root: { offset: 0 } },
  identity: { instanceId: 'i-1', others: [] },
  login: { user: 'me', key: '/nonexistent' },
  patience: 0,
  powerOff: 1,
  folder: '/nonexistent',
  plot: false,
};

/** A machine that nobody answers for. */
const guest = (ended: Promise<Reason | undefined>): Guest => ({
  card: '',
  cmdline: '',
  // Nothing listens on TCP's port 1.
  ports: { 22: 1 },
  poweredOn: Date.now(),
  console: async () => '',
  marked: () => undefined,
  ended,
  powerButton: false,
  powerOff: () => Promise.reject(new Error('it was not asked to')),
});

test('a machine that takes no login in its time', async () => {
  const { checks, reason } = await judgeBoot(guest(new Promise(() => {})), expected);
  assert.equal(checks, []);
  assert.is(reason?.code, 'timeout');
  assert.match(reason?.message ?? '', 'No login by ssh as me within 0 seconds: connect ECONNREFUSED');
});

test('a machine that ends while it is waited for: its reason counts, at once', async () => {
  const panic: Reason = { code: 'panic', message: 'The kernel has panicked' };
  const ended = new Promise<Reason>((resolve) => setTimeout(() => resolve(panic), 50));
  const { checks, reason } = await judgeBoot(guest(ended), { ...expected, patience: 600 });
  assert.equal({ checks, reason }, { checks: [], reason: panic });
});

test.run();
