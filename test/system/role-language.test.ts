// Everything the role language can say, looked for in the image it is built into; what is built again when something changes.
import { existsSync } from 'node:fs';
import { access, appendFile, copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Check } from '../../src/host/doctor.ts';
import { sha256 } from '../../src/lib/digest.ts';
import { removeTree } from '../helpers/bad-luck-project.ts';
import { findLeftovers, JUDGED } from '../helpers/leftovers.ts';
import { readBoot, readRoot } from '../helpers/image-files.ts';
import { openKitchen, TOKEN } from '../helpers/kitchen-sink.ts';
import { count, mustBuild, PIIMG_CACHE, piimg, plannedLayers } from '../helpers/kitchen-commands.ts';
import { readManifest, start, toBuild } from '../helpers/kitchen-commands.ts';

const work = await mkdtemp('/var/tmp/piimg-role-language-');
/** What the built system says of itself, one line each, by its own programs. */
const QUESTIONS = `
dpkg-query -W -f '\${Package} \${Version}\\n' kitchen-archived kitchen-asks kitchen-local hello jq
dpkg-query -W -f '\${db:Status-Status} \${Package} is there\\n' less unattended-upgrades g++ libnode-dev 2>/dev/null | grep '^installed' || true
dpkg --audit
debconf-show kitchen-asks
cat /etc/kitchen-dish
node /opt/kitchen/index.js
getent passwd cook newcomer | cut -d: -f1,3,5-
id -nG newcomer
LC_ALL=de_DE.UTF-8 date -d 2026-03-01 +%A,%B
env -u TZ date -d @0 +%Z
visudo -c -f /etc/sudoers.d/kitchen
`;

const ANSWERS = [
  'hello 2',
  'jq 1',
  'kitchen-archived 1.0',
  'kitchen-asks 1.0',
  'kitchen-local 1.0',
  '* kitchen-asks/dish: pea soup',
  'pea soup',
  'compiled for arm64 prebuilt for linux-arm64',
  'newcomer:1815:',
  'newcomer sudo kitchen',
  'Sonntag,März',
  'CET',
  '/etc/sudoers.d/kitchen: parsed OK',
];

const kitchen = await openKitchen(work);
const { project, url } = kitchen;
const roles = path.join(project, 'images/roles');
await mustBuild('kitchen-sink', kitchen);
const image = path.join(project, 'out/kitchen-sink.img');
const keep = new RegExp(`${JUDGED.source}|^/etc/(?!ssl|ssh/moduli)|^/usr/lib/piimg/|^/home/|authorized_keys$`);
const registry = `${url.replace('http://', '')}/npm`;
const root = await readRoot(image, { keep, words: ['pea soup', TOKEN, registry, work, PIIMG_CACHE] });
const boot = path.join(work, 'boot');
await readBoot(image, boot);
const text = (file: string): string => root.get(file)?.text ?? `${file} is missing`;
const onBoot = (file: string): Promise<string> => readFile(path.join(boot, file), 'utf8');
const accounts = new Map(
  [...text('/etc/passwd').matchAll(/^([^:]+):[^:]*:(\d+):(\d+)/gm)].map(([, name, uid, gid]) => [
    name,
    `${uid}:${gid}`,
  ]),
);
const cook = accounts.get('cook');

test('packages, a pinned version, a .deb, answers, add-ons and accounts, as the system itself sees them', async () => {
  const { stdout, lines } = await piimg(['shell', '--role', 'kitchen-sink', '--', 'sh', '-c', QUESTIONS], kitchen);
  for (const answer of ANSWERS) assert.ok(stdout.includes(answer), `“${answer}” is not in\n${lines.join('\n')}`);
  assert.not.match(stdout, /is there$/m);
  assert.match(stdout, /^cook:\d+:Cook:\/nonexistent:\/usr\/sbin\/nologin$/m);
});

test('the manifest names every package with version and digest, a .deb of the role too', async () => {
  const { packages } = await readManifest(project, 'kitchen-sink');
  assert.ok(packages.length > 200 && packages.every(({ version, sha256 }) => version !== '' && sha256.length === 64));
  const deb = await readFile(path.join(project, 'kitchen-local_1.0.deb'));
  assert.equal(
    packages.filter(({ local }) => local),
    [
      {
        name: 'kitchen-local',
        version: '1.0',
        architecture: 'arm64',
        sha256: sha256(deb),
        size: deb.length,
        source: '',
        local: true,
      },
    ],
  );
});

test('an apt source of the role stays for later updates, with its keyring', async () => {
  const source = text('/etc/apt/sources.list.d/kitchen.sources');
  assert.match(
    source,
    `URIs: ${url}/debian\nSuites: tiny\nComponents: main\nSigned-By: /etc/apt/keyrings/kitchen.gpg\n`,
  );
  assert.is(text('/etc/apt/keyrings/kitchen.gpg'), await readFile(path.join(project, 'kitchen.gpg'), 'latin1'));
});

test('an npm application: its own variant of a package only, compilers and npm settings of the host gone', async () => {
  const files = [...root.keys()].filter((file) => file.startsWith('/opt/kitchen/node_modules/'));
  const packages = new Set(files.map((file) => file.split('/')[4]).filter(Boolean));
  assert.equal([...packages].sort(), ['piimg-addon', 'piimg-prebuilt', 'piimg-prebuilt-linux-arm64']);
  const addon = root.get('/opt/kitchen/node_modules/piimg-addon/build/Release/addon.node');
  assert.is(addon?.machine, 183);
  assert.is(addon?.owner, cook);
  assert.equal(
    files.filter((file) => /\/build\/./.test(file)).map((file) => path.basename(file)),
    ['Release', 'addon.node'],
  );
  assert.not.ok(root.has('/usr/bin/make'));
  assert.not.ok(root.has('/usr/include/node'));
  assert.ok(kitchen.requests.some(({ path: file, token }) => file.startsWith('/npm/') && token));
  // All that no image may carry: also the token, the registry and folders of this machine.
  assert.equal(root.get('/etc/kitchen-dish')?.words, ['pea soup'], 'words are found where they are');
  assert.equal(
    findLeftovers(root).filter((line) => !/^.home.newcomer|“pea soup”/.test(line)),
    [],
  );
});

test('artifacts, overlays and inline files have their content, owners and modes', async () => {
  const facts = (file: string) => {
    const { mode = 0, owner } = root.get(file) ?? {};
    return `${mode.toString(8)} ${owner}`;
  };
  assert.is(facts('/usr/local/bin/tool'), '750 0:2222');
  assert.is(text('/etc/kitchen.conf'), 'greeting=a < b & c\nport=9090\nrole=kitchen-sink\n');
  assert.is(facts('/etc/kitchen.conf'), `640 ${cook}`);
  assert.is(facts('/etc/sudoers.d/kitchen'), '440 0:0');
  assert.is(facts('/usr/local/bin/kitchen'), '755 0:0');
  assert.is(text('/etc/kitchen.d/inline.conf'), '{{ not a template }}\n');
  assert.is(facts('/etc/kitchen.d/inline.conf'), `600 ${cook?.split(':')[0]}:0`);
  assert.is(text('/usr/lib/piimg/node/kitchen/motd.mustache'), 'I am {{node.hostname}}, known on first boot only\n');
  assert.is(await onBoot('kitchen.txt'), 'On the boot partition, for kitchen-sink\n');
  assert.match(text('/home/newcomer/.ssh/authorized_keys'), /^ssh-ed25519 .* newcomer@laptop\n$/);
  assert.is(facts('/home/newcomer/.ssh/'), `700 ${accounts.get('newcomer')}`);
  assert.is(facts('/home/newcomer/.ssh/authorized_keys'), `600 ${accounts.get('newcomer')}`);
});

test('run steps have what they ask for, and no more', () => {
  assert.is(text('/etc/kitchen.d/dish'), 'soup\n');
  assert.is(text('/etc/kitchen.d/fetched'), 'fetched\n');
  assert.is(count(kitchen, '/counted'), 1);
});

test('units, kernel, firewall, time zone, locale and keyboard', () => {
  const unit = (name: string) => root.get(`/etc/systemd/system/${name}`)?.target;
  assert.match(text('/etc/systemd/system/kitchen.service'), 'Kitchen on port 9090');
  assert.is(unit('kitchen-never.service'), '/dev/null');
  assert.is(unit('timers.target.wants/apt-daily.timer'), undefined);
  assert.ok(unit('multi-user.target.wants/kitchen.service') && unit('timers.target.wants/apt-daily-upgrade.timer'));
  assert.match(text('/etc/sysctl.d/60-piimg.conf'), /^vm\.swappiness = 1$/m);
  assert.match(text('/etc/modules-load.d/piimg.conf'), /^i2c-dev$/m);
  assert.match(text('/etc/modprobe.d/piimg.conf'), /^blacklist snd_bcm2835\noptions brcmfmac roamoff=1$/m);
  assert.match(text('/etc/nftables.conf'), /dport \{? ?22 ?\}? /);
  assert.match(text('/etc/nftables.conf'), '8000-8010');
  assert.is(root.get('/etc/localtime')?.target, '/usr/share/zoneinfo/Europe/Warsaw');
  assert.is(text('/etc/timezone') + text('/etc/locale.conf'), 'Europe/Warsaw\nLANG=de_DE.UTF-8\n');
  assert.match(text('/etc/locale.gen'), /^de_DE\.UTF-8 UTF-8$/m);
  assert.match(text('/etc/default/keyboard'), /^XKBLAYOUT="de"$/m);
  // What keyboard-setup.service loads at boot: the layout is in the compiled file.
  assert.ok([...root.keys()].some((file) => file.startsWith('/etc/console-setup/cached_')));
});

test('config.txt by board, words of cmdline.txt, what first boot and tests need', async () => {
  const config = await onBoot('config.txt');
  assert.match(config, '[all]\ndtparam=audio=off\n[pi3]\ncore_freq=250\n[pi4]\narm_boost=1\n[all]\n');
  const words = (await onBoot('cmdline.txt')).trim().split(/\s+/);
  for (const word of ['quiet', 'cgroup_enable=memory']) assert.ok(words.includes(word), words.join(' '));
  const role = JSON.parse(text('/usr/lib/piimg/role.json')) as {
    provision: { name: string }[];
    health: { name: string }[];
  };
  assert.equal(
    role.provision.map(({ name }) => name),
    ['motd'],
  );
  assert.ok(
    role.health.some(({ name }) => name === 'kitchen runs') && role.health.some(({ name }) => name === 'ssh answers'),
  );
});

/** A role that asks for the same packages need not have them resolved. */
const lockAs = (role: string): Promise<void> =>
  copyFile(path.join(roles, 'kitchen-sink.lock.json'), path.join(roles, `${role}.lock.json`));

test('a step that fails names itself', async () => {
  await lockAs('kitchen-fails');
  const { exitCode, lines } = await piimg(['build', '--role', 'kitchen-fails', '--progress', 'log'], kitchen);
  assert.is(exitCode, 1);
  assert.match(lines.join('\n'), /The run step “forgot to ask” failed[^]*curl: [^]*network: true/);
  // The artifact's download is all that ever reached the server.
  assert.is(count(kitchen, '/files/tool'), 1);
});

const lacks = (what: string, near: string) => `No package of the image has the ${what}\nhint: Did you mean ${near}?`;
for (const [role, exitCode, says] of [
  ['kitchen-lacks', 2, lacks('locale de_DX.UTF-8', 'de_DE.UTF-8')],
  ['kitchen-unit', 2, lacks('unit sssh.service', 'ssh.service')],
  ['kitchen-group', 2, lacks('group suddo', 'sudo')],
  ['kitchen-nodeless', 2, 'No package of the image has the program /usr/bin/node'],
  ['kitchen-taken', 1, 'useradd: group staff exists'],
] as const) {
  test(`${role}: ${says.split('\n')[0]}`, async () => {
    await lockAs(role);
    const built = await piimg(['build', '--role', role, '--progress', 'log'], kitchen);
    assert.is(built.exitCode, exitCode);
    assert.match(built.lines.join('\n'), says);
  });
}

test('an artifact that is not what the role says is named', async () => {
  await lockAs('kitchen-sum');
  const { exitCode, lines } = await piimg(['build', '--role', 'kitchen-sum', '--progress', 'log'], kitchen);
  assert.is(exitCode, 1);
  assert.match(lines.join('\n'), `${url}/files/other`);
  assert.match(lines.join('\n'), /Hash Sum mismatch|other bytes/);
});

test('only what a change concerns is built again', async () => {
  assert.equal(toBuild(await plannedLayers('kitchen-sink', kitchen)), []);
  await appendFile(path.join(roles, 'sink-board.yaml'), 'timezone: Etc/UTC\n');
  assert.equal(toBuild(await plannedLayers('kitchen-sink', kitchen)), [], 'the role itself says another time zone');
  const board = await readFile(path.join(roles, 'sink-board.yaml'), 'utf8');
  await writeFile(path.join(roles, 'sink-board.yaml'), board.replace('arm_boost=1', 'arm_boost=0'));
  assert.equal(toBuild(await plannedLayers('kitchen-sink', kitchen)), ['boot files']);
  await writeFile(path.join(roles, 'sink-board.yaml'), board);
  await writeFile(path.join(project, 'overlays/kitchen/rootfs/usr/local/bin/kitchen'), '#!/bin/sh\nexec true\n');
  // Run steps may write anything: what stands on them is made anew with them.
  const runs = ['run: no network', 'run: network'];
  const after = toBuild(await plannedLayers('kitchen-sink', kitchen));
  assert.equal(after, ['files', ...runs, 'units', 'initramfs', 'boot files']);
});

test('a project that init makes builds on the same base, by an installed piimg that prefers what the user has', async () => {
  const prefix = path.join(work, 'prefix');
  const packed = path.join(work, 'packed');
  await mkdir(packed);
  const { stdout } = await start(['npm', 'pack', '--silent', '--pack-destination', packed], process.cwd());
  const tarball = path.join(packed, stdout.trim().split('\n').at(-1) ?? '');
  const install = 'npm install --global --prefer-offline --no-audit --no-fund --prefix'.split(' ');
  const installed = await start([...install, prefix, tarball], work);
  assert.is(installed.exitCode, 0, installed.lines.join('\n'));
  const command = path.join(prefix, 'bin/piimg');
  const init = await start([command, 'init', 'mine'], work);
  assert.is(init.exitCode, 0, init.lines.join('\n'));
  const mine = path.join(work, 'mine');
  // A role of the user's with the name of a built-in one comes first.
  await writeFile(path.join(mine, 'images/roles/web.yaml'), 'version: 1\nsummary: My own web\nextends: base\n');
  const listed = await start([command, 'roles'], mine);
  assert.match(listed.stdout, /mine\s.*greets/);
  assert.match(listed.stdout, /web\s.*My own web/);
  assert.match(listed.stdout, /base\s/);
  // It asks of this machine what building and booting need, not what the tests of the repository do.
  const { checks } = JSON.parse((await start([command, 'doctor', '--json'], mine)).stdout) as { checks: Check[] };
  const wanted = ['qemu-system-aarch64', 'mmdebstrap', 'chromium'].filter((tool) =>
    checks.some(({ name }) => name === tool),
  );
  assert.equal(wanted, ['qemu-system-aarch64']);
  const built = await start([command, 'build', '--role', 'mine', '--progress', 'log'], mine);
  assert.is(built.exitCode, 0, built.lines.join('\n'));
  await access(path.join(mine, 'images/roles/mine.lock.json'));
  const ours = (await readManifest(mine, 'mine')).layers;
  const theirs = (await readManifest(project, 'kitchen-sink')).layers;
  const packages = ours.findIndex(({ title }) => title === 'packages');
  assert.ok(packages >= 5);
  assert.equal(ours.slice(0, packages), theirs.slice(0, packages));
  for (const { title } of ours.slice(0, packages)) {
    assert.ok(
      built.lines.some((line) => line.startsWith(`= ${title}: reused`)),
      title,
    );
  }
  assert.ok(ours.some(({ title }) => title === 'files'));
  // Of a role, `flash` takes what is built, or builds it.
  const flash = [command, 'flash', '--role', 'mine', '--no-login', '--to', 'card.img', '--json', '--progress', 'log'];
  const flashed = await start(flash, mine);
  assert.is(flashed.exitCode, 0, flashed.lines.join('\n'));
  assert.match(flashed.lines.join('\n'), /role mine/);
  assert.is((await stat(path.join(mine, 'card.img'))).size, (await readManifest(mine, 'mine')).image.size);
});

test('what the tests were given is taken back', async () => {
  kitchen.close();
  // No later build has the keyring and the application of this one: what stands on them would only fill the cache.
  const { layers } = await readManifest(project, 'kitchen-sink');
  for (const { key } of layers.slice(layers.findIndex(({ title }) => title.startsWith('npm:')))) {
    await removeTree(path.join(PIIMG_CACHE, 'layers', key));
  }
  await rm(work, { recursive: true });
  assert.not.ok(existsSync(work));
});

test.run();
