// The checks that ask the machine itself: here it is this computer, with a systemctl of the test's.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { commandCheck } from '../../../../src/boot/checks/command.ts';
import { fileCheck } from '../../../../src/boot/checks/file.ts';
import type { HealthCheckOf, Kind } from '../../../../src/boot/checks/kind.ts';
import { reachedCheck } from '../../../../src/boot/checks/reached.ts';
import { mountCheck } from '../../../../src/boot/checks/mount.ts';
import { unitCheck } from '../../../../src/boot/checks/unit.ts';
import { type HealthCheck, healthCheck } from '../../../../src/role/schema/health.ts';
import { attempt, localSession, programs } from '../../../helpers/local-session.ts';

const work = await mkdtemp(path.join(tmpdir(), 'piimg-checks-'));
const file = path.join(work, "it's a file");
await writeFile(file, 'first line\nsecond $line\n');

/** systemctl show answers from the unit's name, with the seconds it has been active: `STATE-SUB-RESULT-RESTARTS-SECONDS.service`. */
const SYSTEMCTL = `
for unit; do :; done
name=\${unit%.service}; IFS=-; set -- $name $1
case $6 in
  show) [ "$1" = absent ] && echo LoadState=not-found || echo LoadState=loaded; echo ActiveState=$1; echo SubState=$2; echo Result=$3; echo NRestarts=$4
    awk -v since=$5 '{ printf "ActiveEnterTimestampMonotonic=%.0f\\n", since < 0 ? 0 : ($1 - since) * 1e6 }' /proc/uptime ;;
  is) [ "$1" = active ] ;;
esac`;
const session = localSession(
  await programs(path.join(work, 'bin'), {
    systemctl: SYSTEMCTL,
    journalctl: 'echo "cannot open /x"; echo "giving up"',
  }),
);

const KINDS: Record<string, unknown> = {
  command: commandCheck,
  file: fileCheck,
  mount: mountCheck,
  reached: reachedCheck,
  unit: unitCheck,
};
/** Seconds since this computer's kernel started. */
const [uptime = 0] = (await readFile('/proc/uptime', 'utf8')).split(' ').map(Number);

const CASES: [title: string, check: Record<string, unknown>, ok: boolean, seen: RegExp][] = [
  ['an active unit', { check: 'unit', unit: 'active-running-success-0-1.service' }, true, /^active \(running\)$/],
  [
    'an active unit that was restarted some time ago',
    { check: 'unit', unit: 'active-running-success-1-12.service' },
    true,
    /^active \(running\), 1 restarts$/,
  ],
  [
    'a unit that is active between two of its ends',
    { check: 'unit', unit: 'active-running-success-7-2.service' },
    false,
    /^active \(running\), 7 restarts, the last one [23] s ago$/,
  ],
  [
    'a unit that became active in time',
    { check: 'reached', unit: 'active-running-success-0-2.service', seconds: Math.ceil(uptime) + 600 },
    true,
    /^active after \d+\.\d s$/,
  ],
  [
    'a unit that became active too late',
    { check: 'reached', unit: 'active-running-success-0-0.service', seconds: 1 },
    false,
    /^active after \d+\.\d s$/,
  ],
  [
    'a unit that is not active yet',
    { check: 'reached', unit: 'activating-start-success-0-0.service', seconds: 1 },
    false,
    /^activating \(start\): cannot/,
  ],
  [
    'no such unit to become active',
    { check: 'reached', unit: 'absent-dead-success-0-0.service', seconds: 1 },
    false,
    /no such unit/,
  ],
  [
    'a failed unit, with its last words',
    { check: 'unit', unit: 'failed-failed-exit_code-0-0.service' },
    false,
    /^failed \(failed\), exit_code: cannot open \/x · giving up$/,
  ],
  [
    'a unit that is still starting',
    { check: 'unit', unit: 'activating-start-success-0-0.service' },
    false,
    /^activating \(start\)/,
  ],
  ['a unit that is off', { check: 'unit', unit: 'inactive-dead-success-0-0.service' }, false, /^inactive \(dead\)/],
  ['no such unit', { check: 'unit', unit: 'absent-dead-success-0-0.service' }, false, /no such unit/],
  ['exit 0', { check: 'command', command: 'true' }, true, /^exit 0$/],
  ['another exit', { check: 'command', command: 'echo no such table >&2; exit 3' }, false, /^exit 3, “no such table”$/],
  ['the exit asked for', { check: 'command', command: 'exit 3', exit: 3 }, true, /^exit 3$/],
  ['output', { check: 'command', command: 'echo one; echo two >&2', output: 'two' }, true, /“one two”/],
  ['another output', { check: 'command', command: 'echo one', output: 'two' }, false, /“one”/],
  ['a file', { check: 'file', path: file }, true, /^24 bytes$/],
  ['a file with its content, over lines', { check: 'file', path: file, contains: 'line\nsecond $' }, true, /24 bytes/],
  [
    'a file with another content',
    { check: 'file', path: file, contains: 'third' },
    false,
    /24 bytes, “first line second \$line”/,
  ],
  ['no file', { check: 'file', path: `${file}s` }, false, /^not there$/],
  ['a folder', { check: 'file', path: work }, false, /^a folder$/],
  ['a mount', { check: 'mount', path: '/proc' }, true, /^proc /],
  ['a mount with an option', { check: 'mount', path: '/proc', options: ['rw'] }, true, /^proc .*\brw\b/],
  ['a mount without the option', { check: 'mount', path: '/proc', options: ['rw', 'subset=none'] }, false, /^proc /],
  ['part of an option is none', { check: 'mount', path: '/proc', options: ['r'] }, false, /^proc /],
  ['no mount', { check: 'mount', path: work }, false, /^not mounted$/],
];

for (const [title, check, ok, seen] of CASES) {
  test(`${String(check.check)}: ${title}`, async () => {
    const kind = KINDS[String(check.check)] as Kind<HealthCheck>;
    const found = await kind.look({ ports: {}, session }, healthCheck.parse(check), attempt());
    assert.match(found.seen, seen);
    assert.is(found.ok, ok);
  });
}

test('how long a unit took is settled when it is active; until then it is waited for', async () => {
  const reached = (unit: string) =>
    healthCheck.parse({ check: 'reached', unit, seconds: 1 }) as HealthCheckOf<'reached'>;
  const look = async (unit: string) =>
    (await reachedCheck.look({ ports: {}, session }, reached(unit), attempt())).final ?? false;
  assert.is(await look('active-running-success-0-0.service'), true);
  assert.is(await look('activating-start-success-0-0.service'), false);
});

test('the work is cleaned up', async () => {
  await rm(work, { recursive: true });
});

test.run();
