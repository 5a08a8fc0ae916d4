// What every machine must meet: each look, at a machine that meets it and at ones that do not.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  lookAtCloudInit,
  lookAtFirstBoot,
  lookAtPasswords,
  lookAtRoot,
  lookAtUnits,
} from '../../../../src/boot/checks/always.ts';
import { type Identity, judgeIdentity, readIdentity } from '../../../../src/boot/checks/identity.ts';
import { timesFrom } from '../../../../src/boot/checks/times.ts';
import type { Look } from '../../../../src/boot/retry.ts';
import { attempt, localSession, programs, sayingSession } from '../../../helpers/local-session.ts';

const work = await mkdtemp(path.join(tmpdir(), 'piimg-always-'));

function assertLook(found: Look, ok: boolean, seen: RegExp): void {
  assert.match(found.seen, seen);
  assert.is(found.ok, ok);
}

for (const [title, says, ok, seen, final] of [
  ['a running system', 'running', true, /^running$/, true],
  ['one that still starts is waited for', 'starting', false, /^starting$/, false],
  [
    'a failed unit is named at once',
    'degraded\nweb.service loaded failed failed A web\n',
    false,
    /^degraded: web\.service failed$/,
    true,
  ],
  ['a rescue shell', 'maintenance', false, /^maintenance$/, true],
] as const) {
  test(`units: ${title}`, async () => {
    const found = await lookAtUnits(sayingSession(says), attempt());
    assertLook(found, ok, seen);
    assert.is(found.final ?? false, final);
  });
}

const cloudInit = (changes: Record<string, unknown>): string =>
  JSON.stringify({ status: 'done', datasource: 'nocloud', errors: [], recoverable_errors: {}, ...changes });
for (const [title, says, ok, seen] of [
  ['done', cloudInit({}), true, /^done \(nocloud\)$/],
  ['not yet', 'running\n', false, /still running/],
  [
    'an error',
    cloudInit({ status: 'error', errors: ['no such group'] }),
    false,
    /^error \(nocloud\), “no such group”$/,
  ],
  ['a warning', cloudInit({ recoverable_errors: { WARNING: ['odd key'] } }), false, /“odd key”/],
  ['a card without seed', cloudInit({ datasource: 'none' }), false, /^done \(none\)$/],
] as const) {
  test(`cloud-init: ${title}`, async () => assertLook(await lookAtCloudInit(sayingSession(says), attempt()), ok, seen));
}

const firstBoot = (changes: Record<string, unknown>, state = 'active'): string =>
  `${state}\n${JSON.stringify({ status: 'applied', seconds: 3, steps: [{}, {}], ...changes })}`;
for (const [title, says, ok, seen, final] of [
  ['applied', firstBoot({}), true, /^applied: 2 steps in 3 s$/, true],
  ['at work', firstBoot({ status: 'working' }, 'activating'), false, /^still at work/, false],
  ['at work again', firstBoot({}, 'activating'), false, /^still at work/, false],
  ['not begun', 'inactive', false, /not begun/, false],
  ['an old failure', firstBoot({ status: 'failed', failure: { message: 'old' } }, 'inactive'), false, /old/, false],
  [
    'failed',
    firstBoot({ status: 'failed', failure: { step: 'upstreams', message: 'no peers' } }, 'failed'),
    false,
    /^step upstreams: “no peers”$/,
    true,
  ],
  ['an image without agent', 'none', true, /no first-boot agent/, true],
] as const) {
  test(`first boot: ${title}`, async () => {
    const found = await lookAtFirstBoot(sayingSession(says), attempt());
    assertLook(found, ok, seen);
    assert.is(found.ok || (found.final ?? false), final);
  });
}

const GIB = 2 ** 30;
for (const [title, sectors, blocks, ok] of [
  ['grown to the card', 7_323_648 - 2048, 890_000, true],
  ['the partition has grown, the file system has not', 7_323_648 - 2048, 400_000, false],
  ['nothing has grown', 3_000_000, 360_000, false],
] as const) {
  test(`root file system: ${title}`, async () => {
    const found = await lookAtRoot(sayingSession(`1064960\n${sectors}\n4096 ${blocks}\n`), 4 * GIB, attempt());
    assertLook(found, ok, /MiB for files in \d+ MiB, of a card of 4096 MiB/);
  });
}

const denied = (methods: string): string => `echo "x@127.0.0.1: Permission denied (${methods})." >&2; exit 255`;
const shadow = (fields: string): string => `printf 'root:*:1\\nme:${fields}:1\\n' | /usr/bin/awk "$1" "$2"`;
for (const [title, ssh, field, ok, seen] of [
  ['keys only', denied('publickey'), '!', true, /^keys only$/],
  ['ssh asks for one', denied('publickey,password'), '!', false, /^ssh offers root publickey,password$/],
  ['ssh asks in its other way', denied('publickey,keyboard-interactive'), '!', false, /keyboard-interactive/],
  ['ssh lets anybody in', 'exit 0', '!', false, /without key or password/],
  ['a user has one', denied('publickey'), '$y$j9T$secret', false, /^with a password: me$/],
  ['a user has an empty one', denied('publickey'), '', false, /^with a password: me$/],
] as const) {
  test(`passwords: ${title}`, async () => {
    const awk = shadow(field.replaceAll('$', '\\$'));
    const folder = await programs(path.join(work, 'bin'), { ssh, awk });
    const { PATH } = process.env;
    process.env.PATH = `${folder}:${PATH}`;
    // The real file is read by nobody: awk gets another one.
    const found = await lookAtPasswords(localSession(folder), attempt());
    process.env.PATH = PATH;
    assertLook(found, ok, seen);
    assert.not.match(found.seen, 'secret');
  });
}

const first: Identity = { instanceId: 'i-1', machineId: 'a'.repeat(32), hostKeys: ['ssh-ed25519 AAA', 'ssh-rsa BBB'] };

test('an identity is read from the machine', async () => {
  const says = `i-1\n${first.machineId}\nssh-rsa BBB\nssh-ed25519 AAA\n`;
  assert.equal(await readIdentity(sayingSession(says), attempt()), first);
});

for (const [title, changes, ok, seen] of [
  ['its own', { machineId: 'b'.repeat(32), hostKeys: ['ssh-ed25519 CCC'] }, true, /^machine-id b{32}, 1 host keys$/],
  ['another instance than the seed says', { instanceId: 'i-2' }, false, /instance id i-2, not the seed's i-1/],
  ['no machine-id', { machineId: 'uninitialized' }, false, /machine-id “uninitialized”/],
  ['no host keys', { hostKeys: [] }, false, /no host keys/],
  ['the machine-id of another boot', { hostKeys: ['ssh-ed25519 CCC'] }, false, /^another machine has its machine-id$/],
  ['one host key of another boot', { machineId: 'b'.repeat(32) }, false, /^another machine has its host keys$/],
] as const) {
  test(`identity: ${title}`, () => {
    const found: Identity = { ...first, ...structuredClone(changes as Partial<Identity>) };
    const met = [{ ...first, instanceId: 'i-0' }];
    assertLook(judgeIdentity(found, { instanceId: 'i-1', inImage: [], met }), ok, seen);
    assert.is(met.length, 2);
  });
}

test('identity: what the image holds is nobody’s own', () => {
  const inImage = ['/etc/ssh/ssh_host_ed25519_key'];
  const found = judgeIdentity(first, { instanceId: 'i-1', inImage, met: [] });
  assertLook(found, false, /^the image itself holds \/etc\/ssh\/ssh_host_ed25519_key$/);
});

test('identity: of two machines at the same time the second finds the first, and neither itself', () => {
  const met: Identity[] = [];
  const look = (instanceId: string): boolean =>
    judgeIdentity({ ...first, instanceId }, { instanceId, inImage: [], met }).ok;
  assert.equal([look('i-1'), look('i-1'), look('i-2'), look('i-2')], [true, true, false, false]);
});

test('a second boot has the identity of the first', () => {
  assert.is(judgeIdentity(structuredClone(first), { first }).ok, true);
  for (const changes of [{ instanceId: 'i-2' }, { machineId: 'b' }, { hostKeys: ['ssh-ed25519 AAA'] }]) {
    assert.is(judgeIdentity({ ...first, ...changes }, { first }).ok, false);
  }
});

const PROPERTIES = `22.60
InitRDTimestampMonotonic=3000000
UserspaceTimestampMonotonic=7500000
FinishTimestampMonotonic=20000000
ActiveEnterTimestampMonotonic=18000000`;

test('times are those of systemd; cloud-init counts from power-on', () => {
  assert.equal(timesFrom(PROPERTIES, 1.5), { kernel: 3, initrd: 4.5, userspace: 12.5, cloudInit: 19.5 });
});

test('times that the machine does not know are left out', () => {
  const none = PROPERTIES.replace('InitRDTimestampMonotonic=3000000', 'InitRDTimestampMonotonic=0');
  assert.equal(timesFrom(none.replace('Finish', 'Other'), 0), { kernel: 7.5, cloudInit: 18 });
  assert.equal(timesFrom('', 0), {});
});

test('the work is cleaned up', async () => {
  await rm(work, { recursive: true });
});

test.run();
