// firstrun.sh is run, below a scratch root, with stand-ins for the programs that change accounts: with Raspberry Pi's helpers, without, and cut short.
import { chmod, cp, link, mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../../src/host/exec.ts';
import { editsFor } from '../../../src/seed/formats/write.ts';
import { CMDLINE, factsOf, fullNode, HASH, nodeOf, textIn } from '../../helpers/format-nodes.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

/** Notes its words, and kills all of the script at the call that KILL_AT says. */
const NOTE = `
{ printf '%s' "\${0##*/}"; for word; do printf ' [%s]' "$word"; done; echo; } >> "$PIIMG_ROOT/../calls"
echo x >> "$PIIMG_ROOT/../count"
[ "$(wc -l < "$PIIMG_ROOT/../count")" != "\${KILL_AT-}" ] || kill -9 0
`;
/** Accounts live in etc/passwd of the scratch root. */
const PROGRAMS: Record<string, string> = {
  getent: 'awk -F: -v who="$2" \'$1 == who || $3 == who\' "$PIIMG_ROOT/etc/passwd" | grep .',
  useradd: 'for name; do :; done; echo "$name:x:1001:1001::/home/$name:/bin/sh" >> "$PIIMG_ROOT/etc/passwd"',
  usermod: '[ "$1" != -l ] || sed -i "s/^$3:/$2:/" "$PIIMG_ROOT/etc/passwd"',
  chpasswd: 'cat >> "$PIIMG_ROOT/shadow"',
  groupmod: '',
  systemctl: '',
  'ssh-keygen':
    'for type in rsa ed25519; do [ -e "$PIIMG_ROOT/etc/ssh/ssh_host_${type}_key" ] || echo made > "$PIIMG_ROOT/etc/ssh/ssh_host_${type}_key"; done',
  rfkill: '',
  chown: '',
  sync: '',
};
const HELPERS: Record<string, string> = {
  'usr/lib/raspberrypi-sys-mods/imager_custom': '',
  'usr/lib/userconf-pi/userconf': 'usermod -l "$1" pi; echo "$1:$2" | chpasswd',
};

interface Machine {
  root: string;
  run: (more?: Record<string, string>) => Promise<{ exitCode: number }>;
  read: (path: string) => Promise<string>;
  calls: () => Promise<string[]>;
}

async function machine(script: string, cmdline: string, helpers: Record<string, string> = {}): Promise<Machine> {
  const folder = temporaryFolder();
  const root = join(folder, 'root');
  const put = async (path: string, text: string, mode = 0o644): Promise<void> => {
    await mkdir(join(folder, path, '..'), { recursive: true });
    await writeFile(join(folder, path), text);
    await chmod(join(folder, path), mode);
  };
  for (const [name, text] of Object.entries(PROGRAMS)) await put(`bin/${name}`, `#!/bin/sh\n${NOTE}${text}\n`, 0o755);
  for (const [path, text] of Object.entries(helpers)) await put(`root/${path}`, `#!/bin/sh\n${NOTE}${text}\n`, 0o755);
  await put('root/boot/firmware/firstrun.sh', script);
  await put('root/boot/firmware/cmdline.txt', cmdline);
  await put('root/usr/share/zoneinfo/Europe/Berlin', 'TZif2');
  await put('root/etc/hosts', '127.0.0.1\tlocalhost\n127.0.1.1\traspberrypi\n');
  await put('root/etc/passwd', 'root:x:0:0::/root:/bin/sh\npi:x:1000:1000::/home/pi:/usr/sbin/nologin\n');
  await put('root/etc/sudoers.d/010_pi-nopasswd', 'ann ALL=(ALL) NOPASSWD: ALL\n');
  await put('root/var/lib/NetworkManager/NetworkManager.state', '[main]\nWirelessEnabled=false\n');
  await put('root/var/lib/systemd/rfkill/platform-3f300000.mmc:wlan', '1\n');
  return {
    root,
    run: (more = {}) =>
      run(['setsid', 'sh', join(root, 'boot/firmware/firstrun.sh')], {
        env: { PIIMG_ROOT: root, PATH: `${folder}/bin:${process.env.PATH ?? ''}`, ...more },
        okCodes: [0, 1, 2],
      }),
    read: (path) => readFile(join(root, path), 'utf8'),
    calls: async () => (await readFile(join(folder, 'calls'), 'utf8')).trim().split('\n'),
  };
}

const { node, facts } = fullNode('systemd');
const edits = editsFor('systemd', node, facts);
const [script = '', cmdline = ''] = [textIn(edits, 'firstrun.sh'), textIn(edits, 'cmdline.txt')];
const DONE = `${CMDLINE.trim()} cfg80211.ieee80211_regdom=DE\n`;

async function everyFile(folder: string, prefix = ''): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const entry of await readdir(join(folder, prefix), { withFileTypes: true })) {
    const path = join(prefix, entry.name);
    if (entry.isDirectory()) Object.assign(all, await everyFile(folder, path));
    else if (entry.isFile())
      all[path] =
        `${((await stat(join(folder, path))).mode & 0o777).toString(8)} ${await readFile(join(folder, path), 'utf8')}`;
  }
  return all;
}

/** All that a machine has in the end, but for what it draws itself and what is noted again when a step is done again. */
const outcome = async (root: string): Promise<Record<string, string>> => {
  const all = Object.entries(await everyFile(root)).map(([path, text]) => [path, text.replace(/^uuid=.*$/m, 'uuid=')]);
  return Object.fromEntries(all.filter(([path]) => path !== 'shadow')) as Record<string, string>;
};

test('without helpers: accounts, keys, network and host key are as the node says, and script and words are gone', async () => {
  const pi = await machine(script, cmdline);
  // Another name for the bytes of the script.
  const kept = join(temporaryFolder(), 'kept');
  await link(join(pi.root, 'boot/firmware/firstrun.sh'), kept);
  assert.is((await pi.run()).exitCode, 0);
  assert.ok(
    (await readFile(kept)).equals(Buffer.alloc(Buffer.byteLength(script))),
    'what is only removed stays on the card',
  );
  const files = await everyFile(pi.root);
  assert.not.ok('boot/firmware/firstrun-failed.txt' in files, files['boot/firmware/firstrun-failed.txt']);
  assert.not.ok('boot/firmware/firstrun.sh' in files);
  assert.is(await pi.read('boot/firmware/cmdline.txt'), DONE);
  assert.is(await pi.read('etc/hostname'), 'pi1\n');
  assert.is(await pi.read('etc/hosts'), '127.0.0.1\tlocalhost\n127.0.1.1\tpi1\n');
  assert.is(await pi.read('shadow'), `ann:${HASH}\nbob:*\n`);
  assert.match(await pi.read('etc/passwd'), /^ann:x:1000:/m);
  assert.is(await pi.read('home/pi/.ssh/authorized_keys'), `${node.users[0]?.keys.join('\n')}\n`);
  assert.match(files['etc/sudoers.d/010_bob-nopasswd'] ?? '', '440 bob ALL=(ALL) NOPASSWD:ALL');
  const profile = files['etc/NetworkManager/system-connections/piimg-wifi.nmconnection'] ?? '';
  assert.match(profile, /^600 \[connection\]\nid=piimg-wifi\nuuid=[0-9a-f-]{36}\n/);
  assert.match(await pi.read('var/lib/NetworkManager/NetworkManager.state'), 'WirelessEnabled=true');
  assert.is(await pi.read('var/lib/systemd/rfkill/platform-3f300000.mmc:wlan'), '0\n');
  assert.is(files['etc/ssh/ssh_host_ed25519_key'], '600 -----BEGIN\nx\n-----END\n');
  // The others are made now: sshd would not start without any.
  assert.is(await pi.read('etc/ssh/ssh_host_rsa_key'), 'made\n');
  assert.ok((await pi.calls()).includes('systemctl [-q] [disable] [regenerate_ssh_host_keys]'));
  assert.ok((await pi.calls()).includes('usermod [-aG] [gpio] [ann]'));
  assert.ok((await pi.calls()).includes('rfkill [unblock] [wifi]'));
});

test("with Raspberry Pi's helpers: they do what is theirs", async () => {
  const pi = await machine(script, cmdline, HELPERS);
  assert.is((await pi.run()).exitCode, 0);
  const calls = await pi.calls();
  assert.ok(calls.includes('imager_custom [set_hostname] [pi1]'));
  assert.ok(calls.includes(`userconf [ann] [${HASH}]`));
  assert.ok(calls.includes('imager_custom [enable_ssh] [-k]'));
  assert.ok(calls.includes('imager_custom [set_timezone] [Europe/Berlin]'));
  assert.is(await pi.read('boot/firmware/cmdline.txt'), DONE);
});

test('a time zone and a locale that the system lacks are noted, and neither is set', async () => {
  const odd = editsFor('systemd', nodeOf({ timezone: 'US/Eastern', locale: 'de_DE.UTF-8' }), factsOf('systemd'));
  const pi = await machine(textIn(odd, 'firstrun.sh') ?? '', textIn(odd, 'cmdline.txt') ?? '', {
    '../bin/raspi-config': 'exit 1',
  });
  assert.is((await pi.run()).exitCode, 0);
  assert.match(await pi.read('boot/firmware/firstrun-failed.txt'), /set_timezone failed\nset_locale failed\n$/);
  const files = Object.keys(await everyFile(pi.root));
  assert.not.ok(files.some((path) => /localtime|timezone|default\/locale/.test(path)));
});

test('a step that fails is noted where the card can be read, and the rest is done', async () => {
  const pi = await machine(script, cmdline, { 'usr/lib/userconf-pi/userconf': 'exit 1' });
  assert.is((await pi.run()).exitCode, 0);
  assert.match(await pi.read('boot/firmware/firstrun-failed.txt'), /^first_user failed$/m);
  assert.is(await pi.read('boot/firmware/cmdline.txt'), DONE);
  assert.ok(await pi.read('etc/NetworkManager/system-connections/piimg-wifi.nmconnection'));
});

test('sudo that asks: the rule of the image for its first user goes', async () => {
  const asking = nodeOf({ users: [{ name: 'ann', sudo: false }] });
  const written = editsFor('systemd', asking, factsOf('systemd'));
  const pi = await machine(textIn(written, 'firstrun.sh') ?? '', textIn(written, 'cmdline.txt') ?? '');
  await pi.run();
  assert.equal(await readdir(join(pi.root, 'etc/sudoers.d')), []);
});

test('power that goes at any fourth call leaves a machine that comes to the same', async () => {
  const whole = await machine(script, cmdline);
  await whole.run();
  const wanted = await outcome(whole.root);
  const count = (await whole.calls()).length;
  assert.ok(count > 30);
  const start = await machine(script, cmdline);
  for (let at = 1; at <= count; at += 4) {
    const pi = await machine('', '');
    await cp(start.root, pi.root, { recursive: true });
    await pi.run({ KILL_AT: String(at) }).catch(() => {});
    const words = (await pi.read('boot/firmware/cmdline.txt')).includes('systemd.run=');
    // Without its words it is done; with them the script is there, whole.
    if (words) assert.is(await pi.read('boot/firmware/firstrun.sh'), script, `cut at ${at}`);
    if (words) assert.is((await pi.run()).exitCode, 0);
    const rest = await outcome(pi.root);
    for (const left of ['boot/firmware/firstrun.sh', 'boot/firmware/cmdline.new']) delete rest[left];
    for (const path of Object.keys(rest)) if (path.endsWith('.new')) delete rest[path];
    assert.equal(rest, wanted, `cut at ${at}`);
  }
});

test('negative control: a script whose words cannot be taken away fails, and is still there', async () => {
  const pi = await machine(script, cmdline);
  await mkdir(join(pi.root, 'boot/firmware/cmdline.new'));
  assert.ok((await pi.run()).exitCode > 0);
  assert.is(await pi.read('boot/firmware/firstrun.sh'), script);
});

test.run();
