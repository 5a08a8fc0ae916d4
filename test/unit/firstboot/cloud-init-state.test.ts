// What stands in for cloud-init's missing care: after a cut it begins once more, and when all is on the card it is left alone.
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../../src/host/exec.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const SCRIPT = path.resolve('firstboot/rootfs/usr/lib/piimg/cloud-init-state');
/** It gives homes to their users. */
const AS_ROOT = process.getuid?.() === 0 ? [] : ['unshare', '--user', '--map-root-user', '--map-auto'];

/** A machine on which cloud-init was at work. */
async function machine(files: Record<string, string> = {}) {
  const root = temporaryFolder();
  const write = async (file: string, content: string): Promise<void> => {
    await mkdir(path.dirname(path.join(root, file)), { recursive: true });
    await writeFile(path.join(root, file), content);
  };
  const all = {
    'var/lib/cloud/data/instance-id': 'i-1\n',
    'var/lib/cloud/instance/sem/config_ssh': 'done\n',
    'var/lib/cloud/sem/config_once': 'done\n',
    'var/lib/cloud/seed/mine': 'kept\n',
    'etc/passwd':
      'root:x:0:0::/root:/bin/sh\npilot:x:1000:1000::/home/pilot:/bin/bash\nnobody:x:65534:65534::/none:/bin/sh\n',
    'etc/group': 'root:x:0:\npilot:x:1000:\nnogroup:x:65534:\n',
    'etc/skel/.profile': 'profile\n',
    'etc/skel/.bashrc': 'bashrc\n',
    'etc/passwd.lock': '',
    'etc/group.546': '546',
    'etc/gshadow+': 'root',
    'etc/group.conf': 'mine',
    'etc/sudoers.d/90-cloud-init-users': 'pilot ALL=(AL',
    'var/lib/piimg/accounts': 'root\nnobody\n',
    ...files,
  };
  for (const [file, content] of Object.entries(all)) await write(file, content);
  const has = (file: string): boolean => existsSync(path.join(root, file));
  const call = async (verb: string): Promise<string> => {
    const options = { env: { ROOT: root }, signal: AbortSignal.timeout(60_000) };
    // What was given to users of the machine, this test could neither read nor remove.
    const { stdout } = await run([...AS_ROOT, 'sh', '-c', `"$0" "$1"; chown -R 0:0 "$ROOT"`, SCRIPT, verb], options);
    return stdout;
  };
  const read = (file: string): Promise<string> => readFile(path.join(root, file), 'utf8');
  return { root, write, has, call, read };
}

test('what was interrupted begins once more: instance, modules, half a rule for sudo, what keeps useradd waiting', async () => {
  const { has, call } = await machine();
  assert.match(await call('repair'), 'cloud-init was interrupted');
  for (const gone of [
    'var/lib/cloud/instance',
    'var/lib/cloud/sem',
    'var/lib/cloud/data',
    'etc/passwd.lock',
    'etc/group.546',
    'etc/gshadow+',
  ]) {
    assert.not.ok(has(gone), gone);
  }
  assert.not.ok(has('etc/sudoers.d/90-cloud-init-users'));
  assert.ok(has('var/lib/cloud/seed/mine'));
  assert.ok(has('etc/group.conf'));
  // The next start finds nothing to mend.
  assert.is(await call('repair'), '');
});

test('host keys that are not whole are made again, the others stay', async () => {
  const { root, has, call, write } = await machine();
  const ssh = path.join(root, 'etc/ssh');
  await mkdir(ssh, { recursive: true });
  for (const type of ['ed25519', 'ecdsa']) {
    await run(['ssh-keygen', '-q', '-t', type, '-N', '', '-f', path.join(ssh, `ssh_host_${type}_key`)]);
  }
  await run(['ssh-keygen', '-q', '-t', 'rsa', '-b', '2048', '-N', '', '-f', path.join(ssh, 'ssh_host_rsa_key')]);
  await write('etc/ssh/ssh_host_ecdsa_key.pub', '');
  await write('etc/ssh/ssh_host_rsa_key', '');
  await chmod(path.join(ssh, 'ssh_host_rsa_key'), 0o600);
  await call('repair');
  assert.ok(has('etc/ssh/ssh_host_ed25519_key') && has('etc/ssh/ssh_host_ed25519_key.pub'));
  for (const gone of ['ecdsa_key', 'ecdsa_key.pub', 'rsa_key', 'rsa_key.pub'])
    assert.not.ok(has(`etc/ssh/ssh_host_${gone}`));
});

test('a home that useradd did not finish gets what is missing in it, or empty', async () => {
  const { call, read, has } = await machine({ 'home/pilot/.bashrc': '', 'home/pilot/.profile': 'mine\n' });
  await call('repair');
  assert.is(await read('home/pilot/.bashrc'), 'bashrc\n');
  assert.is(await read('home/pilot/.profile'), 'mine\n');
  // Of a step: cloud-init's work is done.
  const other = await machine({ 'var/lib/piimg/cloud-init-done': 'i-1\n' });
  await other.call('repair');
  assert.is(await other.read('home/pilot/.profile'), 'profile\n');
  assert.not.ok(other.has('none') || has('none'), 'nobody has no home');
});

/** The tables of accounts, with a user `ann` and her group `ann`, a member of `video`. */
const TABLES: Record<string, string> = {
  passwd: 'root:x:0:0::/root:/bin/sh\nmail:x:8:8::/var/mail:/bin/sh\nann:x:1001:1001::/home/ann:/bin/bash\n',
  shadow: 'root:*:1::::::\nmail:*:1::::::\nann:!:1::::::\n',
  group: 'root:x:0:\nvideo:x:44:ann\nann:x:1001:\n',
  gshadow: 'root:*::\nvideo:*::ann\nann:!::\n',
  subuid: 'ann:165536:65536\n',
  subgid: 'ann:165536:65536\n',
};
const NAMES = Object.keys(TABLES);
const without = (name: string, table: string): string =>
  (TABLES[table] ?? '').replace(new RegExp(`^${name}:.*\n`, 'm'), '');
const SHIPPED = { 'var/lib/piimg/accounts': 'root\nmail\nvideo\n' };
/** cloud-init is done, the role's steps are not. */
const STEPS = { ...SHIPPED, 'var/lib/piimg/cloud-init-done': 'i-1\n' };
const tables = (text: (table: string, index: number) => string) =>
  Object.fromEntries(NAMES.map((table, index) => [`etc/${table}`, text(table, index)]));

for (const [last, name] of NAMES.entries()) {
  test(`a useradd that was cut after ${name}: undone in every table, or left alone when all are written`, async () => {
    const whole = last === NAMES.length - 1;
    const cut = tables((table, index) => (index <= last ? (TABLES[table] ?? '') : without('ann', table)));
    const { call, read } = await machine({ ...cut, ...STEPS });
    // Its home comes last.
    const home = ['.bashrc', '.profile'].map((file) => `/home/ann/${file} of user ann is written again`).join('\n');
    assert.is(await call('repair'), whole ? home : 'account ann was made by half: it is made again');
    for (const table of NAMES)
      assert.is(await read(`etc/${table}`), whole ? TABLES[table] : without('ann', table), table);
    assert.is(await call('repair'), '');
  });
}

test('a groupadd that was cut is undone; where the group is a user’s own, it was useradd', async () => {
  const { call, read } = await machine({
    ...tables((table) => (table === 'gshadow' ? without('ann', table) : (TABLES[table] ?? ''))),
    ...STEPS,
  });
  await call('repair');
  const other = await machine({
    ...STEPS,
    'etc/group': 'root:x:0:\nmine:x:999:\n',
    'etc/gshadow': 'root:*::\n',
    'etc/passwd': 'root:x:0:0::/root:/bin/sh\n',
  });
  assert.is(await other.call('repair'), 'account mine was made by half: it is made again');
  assert.is(await other.read('etc/group'), 'root:x:0:\n');
  assert.not.match(await read('etc/passwd'), 'ann');
});

test('accounts of the image, of other systems and of a machine that is done are nobody’s to remove', async () => {
  // A system user without subordinate ids or a home, a group by hand, a user with its hash in passwd, one whose group is elsewhere.
  const odd = {
    'etc/passwd':
      'root:x:0:0::/root:/bin/sh\napp:x:1500:1500::/nonexistent:/sbin/nologin\nold:$6$hash:1600:1500::/home/old:/bin/sh\n',
    'etc/shadow': 'root:*:1::::::\napp:!:1::::::\n',
    'etc/group': 'root:x:0:\napp:x:1500:\n',
    'etc/gshadow': 'root:*::\napp:!::\n',
    'etc/subuid': 'pi:100000:65536\n',
    'etc/subgid': 'pi:100000:65536\n',
  };
  const first = await machine({ ...odd, 'var/lib/piimg/cloud-init-done': 'i-1\n' });
  await rm(path.join(first.root, 'var/lib/piimg/accounts'));
  assert.is(await first.call('repair'), '', 'as the image has them');
  assert.match(await first.read('var/lib/piimg/accounts'), /^app$/m);
  const { root, call, write, read } = await machine({ ...tables((table) => without('ann', table)), ...STEPS });
  await write('etc/group', 'root:x:0:\nshared:x:2000:\n');
  // The boot partition, and what it names, is not mounted yet when this runs.
  await write('var/lib/piimg/seen.sha256', `${'0'.repeat(64)}  /boot/firmware/piimg.json\n`);
  assert.is(await call('repair'), '');
  assert.match(await read('etc/group'), 'shared');
  // Another document that fails: what the machine had when it was done is whole.
  await rm(path.join(root, 'var/lib/piimg/seen.sha256'));
  assert.is(await call('repair'), '');
  assert.match(await read('etc/group'), 'shared');
});

test('once all is on the card it is noted, and nothing is mended any more', async () => {
  const { call, has, read } = await machine();
  await call('settle');
  assert.not.ok(has('var/lib/piimg/cloud-init-done'), 'cloud-init has not finished');
  const done = await machine({
    'var/lib/cloud/instance/boot-finished': 'now\n',
    'var/lib/piimg/seen.sha256': `${'0'.repeat(64)}  /boot/firmware/piimg.json\n`,
  });
  await done.call('settle');
  assert.is(await done.read('var/lib/piimg/cloud-init-done'), 'i-1\n');
  assert.is(await done.call('repair'), '');
  assert.ok(done.has('var/lib/cloud/instance/sem/config_ssh'));
  assert.ok(done.has('etc/sudoers.d/90-cloud-init-users'));
  assert.is(await read('var/lib/cloud/data/instance-id'), 'i-1\n');
  // A new identity: what it was before says nothing.
  await done.write('var/lib/cloud/data/instance-id', 'i-2\n');
  assert.match(await done.call('repair'), 'interrupted');
});

test('a machine that was never on is left as it is', async () => {
  const { root, call, has } = await machine();
  await run(['rm', '-r', path.join(root, 'var/lib/cloud'), path.join(root, 'var/lib/piimg')]);
  assert.is(await call('repair'), '');
  assert.is(await call('settle'), '');
  assert.ok(has('etc/sudoers.d/90-cloud-init-users'));
});

test.run();
