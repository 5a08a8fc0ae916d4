// What counts as a login prompt, on a machine that can only be watched.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { judgeLogin } from '../../../../src/boot/checks/login.ts';
import type { Guest } from '../../../../src/boot/guest.ts';

/** A machine whose console has said this, and that runs on. */
function saying(text: string, ended: Guest['ended'] = new Promise(() => {})): Guest {
  return {
    card: '',
    cmdline: '',
    ports: {},
    poweredOn: Date.now(),
    console: async () => text,
    marked: () => undefined,
    ended,
    powerOff: () => Promise.reject(new Error('nobody asks for that')),
    powerButton: false,
  };
}

for (const [name, tail] of Object.entries({
  'alone at the end': '',
  'with another line behind it': '\nmore',
  'gone on by something else': '[  188.05] cloud-init[436]: Cloud-init v. 25.1.4 finished',
})) {
  test(`a prompt is one ${name}`, async () => {
    const { checks, reason } = await judgeLogin(saying(`Debian GNU/Linux 13 web ttyAMA0\n\nweb login: ${tail}`), 5);
    assert.equal([checks[0]?.status, reason], ['passed', undefined]);
  });
}

test('words about logging in are none', async () => {
  const log =
    'Starting systemd-logind.service - User Login Management...\nLast login: Sat Nov 21\nDenied web login: no';
  const { checks, reason } = await judgeLogin(saying(log), 0.2);
  assert.equal([checks[0]?.status, checks[0]?.seen], ['failed', 'no login prompt']);
  assert.is(reason?.code, 'timeout');
});

test('a machine that ends is told by its reason', async () => {
  const panic = { code: 'panic', message: 'Kernel panic' } as const;
  const { reason } = await judgeLogin(saying('', Promise.resolve(panic)), 60);
  assert.equal(reason, panic);
});

test.run();
