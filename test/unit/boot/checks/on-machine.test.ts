// The checks that ask the machine itself: here it is this computer, with a systemctl of the test's.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { commandCheck } from '../../../../src/boot/checks/command.ts';
import { fileCheck } from '../../../../src/boot/checks/file.ts';
import type { Kind } from '../../../../src/boot/checks/kind.ts';
import { mountCheck } from '../../../../src/boot/checks/mount.ts';
import { unitCheck } from '../../../../src/boot/checks/unit.ts';
import { type HealthCheck, healthCheck } from '../../../../src/role/schema/health.ts';
import { attempt, localSession, programs } from '../../../helpers/local-session.ts';

const work = await mkdtemp(path.join(tmpdir(), 'piimg-checks-'));
const file = path.join(work, "it's a file");
await writeFile(file, 'first line\nsecond $line\n');

/** systemctl show answers from the unit's name: `STATE-SUB-RESULT-RESTARTS.service`. */
const SYSTEMCTL = `
for unit; do :; done
name=\${unit%.service}; IFS=-; set -- $name $1
case $5 in
  show) [ "$1" = absent ] && echo LoadState=not-found || echo LoadState=loaded; echo ActiveState=$1; echo SubState=$2; echo Result=$3; echo NRestarts=$4 ;;
  is) [ "$1" = active ] ;;
esac`;
const session = localSession(
  await programs(path.join(work, 'bin'), {
    systemctl: SYSTEMCTL,
    journalctl: 'echo "cannot open /x"; echo "giving up"',
  }),
);

const KINDS: Record<string, unknown> = { command: commandCheck, file: fileCheck, mount: mountCheck, unit: unitCheck };

const CASES: [title: string, check: Record<string, unknown>, ok: boolean, seen: RegExp][] = [
  ['an active unit', { check: 'unit', unit: 'active-running-success-0.service' }, true, /^active \(running\)$/],
  [
    'an active unit that was restarted',
    { check: 'unit', unit: 'active-running-success-3.service' },
    true,
    /^active \(running\), 3 restarts$/,
  ],
  [
    'a failed unit, with its last words',
    { check: 'unit', unit: 'failed-failed-exit_code-0.service' },
    false,
    /^failed \(failed\), exit_code: cannot open \/x · giving up$/,
  ],
  [
    'a unit that is still starting',
    { check: 'unit', unit: 'activating-start-success-0.service' },
    false,
    /^activating \(start\)/,
  ],
  ['a unit that is off', { check: 'unit', unit: 'inactive-dead-success-0.service' }, false, /^inactive \(dead\)/],
  ['no such unit', { check: 'unit', unit: 'absent-dead-success-0.service' }, false, /no such unit/],
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

test('the work is cleaned up', async () => {
  await rm(work, { recursive: true });
});

test.run();
