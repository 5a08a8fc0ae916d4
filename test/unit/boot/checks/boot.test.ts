// One boot judged as a whole: where it cannot go well, and what decides; a good one needs a real machine (test/system).
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Expected, judgeBoot } from '../../../../src/boot/checks/boot.ts';
import type { Guest } from '../../../../src/boot/guest.ts';
import type { Reason } from '../../../../src/boot/report.ts';
import { PiimgError } from '../../../../src/lib/errors.ts';
import { healthCheck } from '../../../../src/role/schema/health.ts';
import { programs } from '../../../helpers/local-session.ts';

const expected: Expected = {
  health: [],
  cardSize: 2 ** 32,
  partitions: { boot: { offset: 0 }, root: { offset: 0 } },
  identity: { instanceId: 'i-1', inImage: [], met: [] },
  login: { user: 'me', key: '/nonexistent' },
  cloudInit: true,
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

/** An ssh whose machine is healthy, and is lost where its times and its drawing are asked for. */
const SSH = `
for last; do :; done
answer() { echo "$1"; echo "piimg: status $2" >&2; echo "piimg: over $2" >&2; exit 0; }
case "$*" in
  *" -M "*) exec sh -c "$last" ;;
  *PubkeyAuthentication=no*) echo "Permission denied (publickey)." >&2; exit 255 ;;
  *is-system-running*) answer running 0 ;;
  *piimg-firstboot*) answer none 0 ;;
  *cloud-init*status*) answer '{"status":"done","datasource":"nocloud","errors":[],"recoverable_errors":{}}' 0 ;;
  *findmnt*) answer '0 8388608 4096 1048576' 0 ;;
  */etc/shadow*) answer '' 0 ;;
  */etc/machine-id*) answer "$(printf 'i-1\\n%032d\\nssh-ed25519 AAA' 7)" 0 ;;
  *"exit 3"*) answer 'no table' 3 ;;
  *) echo "Connection closed" >&2; exit 255 ;;
esac`;

/** The judgement of a machine that takes logins, and does not switch itself off. */
async function judgeHealthy(health: Record<string, unknown>[]) {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-judged-'));
  const sshd = createServer((socket) => socket.end('SSH-2.0-test\r\n')).listen(0, '127.0.0.1');
  await once(sshd, 'listening');
  const { PATH } = process.env;
  process.env.PATH = `${await programs(folder, { ssh: SSH })}:${PATH}`;
  let asked = 0;
  const machine: Guest = {
    ...guest(new Promise(() => {})),
    ports: { 22: (sshd.address() as AddressInfo).port },
    powerOff: () => {
      asked += 1;
      return Promise.reject(new PiimgError('it is still on'));
    },
  };
  const checks = health.map((check) => healthCheck.parse(check));
  const judged = await judgeBoot(machine, { ...expected, patience: 30, plot: true, health: checks });
  process.env.PATH = PATH;
  sshd.close();
  await rm(folder, { recursive: true });
  return { ...judged, asked };
}

test('times and drawing are evidence: where they cannot be read the checks decide, and the machine is switched off', async () => {
  const { asked, notes, times, reason } = await judgeHealthy([]);
  assert.is(asked, 1);
  assert.equal(notes, [
    'The boot times could not be read from the machine: Connection closed',
    'The drawing of the boot could not be read from the machine: Connection closed',
  ]);
  // Nothing was to become healthy.
  assert.equal(times, {});
  assert.equal(reason, { code: 'check', message: 'switches itself off: it is still on' });
});

test('the first failed check is the reason, whatever comes after it', async () => {
  const { reason, times } = await judgeHealthy([{ check: 'command', command: 'exit 3', within: '0s' }]);
  assert.equal(reason, { code: 'check', message: 'exit 3: exit 3, “no table”' });
  assert.is(times.health, undefined);
});

test.run();
