// What is told of an image: how it grows, which kernel it has, who it is; and nothing secret.
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { describe } from '../../../src/vendor/describe.ts';
import { FACTS, readFacts } from '../../../src/vendor/facts.ts';
import { identityOf, tomlString } from '../../../src/vendor/identity.ts';
import { kernelIn } from '../../../src/vendor/kernel.ts';
import { formatFacts, formatInspection } from '../../../src/ui/image-summary.ts';
import { styleFor } from '../../../src/ui/style.ts';
import { BOOKWORM, BUSTER, FIRST_TRIXIE, PRESEED, TRIXIE, type Era } from '../../helpers/vendor-eras.ts';
import { fakeView } from '../../helpers/vendor-view.ts';

const viewOf = ({ boot, root }: Era) => fakeView(boot, root);
const growth = async (era: Era) => (await describe(viewOf(era))).growth.map(({ what, armed }) => `${what} ${armed}`);

/** An arm64 Image as the kernel's Documentation/arch/arm64/booting has it, with the banner and, before it, the format it is made by. */
function image(version: string): Buffer {
  const bytes = Buffer.alloc(4096);
  bytes.write('ARM\x64', 56, 'latin1');
  bytes.write('Linux version %s (%s)\0', 1000, 'latin1');
  bytes.write(`Linux version ${version} (serge@raspberrypi.com) #1 SMP\n\0`, 2000, 'latin1');
  return bytes;
}

test('a kernel is told by its bytes: packed, plain, 32 bits, something else', () => {
  const version = '6.12.47+rpt-rpi-v8';
  assert.equal(kernelIn(gzipSync(image(version))), { packing: 'gzip', architecture: 'arm64', version });
  assert.equal(kernelIn(image(version)), { packing: 'image', architecture: 'arm64', version });
  const zimage = Buffer.alloc(64);
  zimage.writeUInt32LE(0x016f2818, 0x24);
  assert.equal(kernelIn(zimage), { packing: 'zimage', architecture: 'arm' });
  assert.equal(kernelIn(gzipSync(zimage)), { packing: 'gzip', architecture: 'arm' });
  assert.equal(kernelIn(gzipSync(image(version)).subarray(0, 40)), { packing: 'gzip' });
  for (const odd of [Buffer.alloc(0), Buffer.alloc(1), Buffer.from('text')])
    assert.equal(kernelIn(odd), { packing: 'unknown' });
});

test('how each kind of image grows', async () => {
  assert.equal(await growth(TRIXIE), ['partition true', 'file system true']);
  assert.equal(await growth(BOOKWORM), ['both true']);
  assert.equal(await growth(BUSTER), ['partition true', 'file system true']);
  assert.equal(await growth({ ...TRIXIE, boot: { 'cmdline.txt': 'quiet' } }), ['partition false', 'file system true']);
  assert.equal(await growth({ ...TRIXIE, root: { ...TRIXIE.root, 'etc/machine-id': `${'0'.repeat(32)}\n` } }), [
    'partition true',
    'file system false',
  ]);
  const cloud = { 'etc/cloud/cloud.cfg': 'cloud_init_modules: [growpart, [resizefs, always]]', 'usr/bin/growpart': '' };
  assert.equal(await growth({ boot: {}, root: cloud }), ['partition true', 'file system true']);
  assert.equal(await growth({ boot: {}, root: {} }), []);
});

test('machine-id: no file and “uninitialized” are a first boot, an empty one is not', async () => {
  const of = async (content?: string) =>
    (await identityOf(fakeView({}, content === undefined ? {} : { 'etc/machine-id': content }))).machineId;
  assert.equal(
    [await of('uninitialized\n'), await of(''), await of('\n'), await of(), await of('ab12\n')],
    ['uninitialized', 'empty', 'empty', 'missing', 'set'],
  );
});

test('armhf is told, and what it is good for', async () => {
  const description = await describe(viewOf(BUSTER));
  assert.equal([description.architecture, description.os.name], ['armhf', 'Raspbian GNU/Linux 10 (buster)']);
  assert.match(formatInspection('x.img', description, styleFor({})), 'armhf (32 bits');
});

/** Everything that piimg, Imager or a user may have put there, with one word for all that is secret. */
const SECRET = 'tops3cret';
const CARRIES: Era = {
  boot: {
    ...TRIXIE.boot,
    'user-data': `#cloud-config\nhostname: pi-a\nssh_keys: { ed25519_private: ${SECRET} }\nusers: [{ name: ann, passwd: ${SECRET}, plain_text_passwd: ${SECRET} }]\nuser: { name: bob }\nwrite_files: [{ path: /x, content: ${SECRET} }]\n`,
    'network-config': `network: { version: 2, wifis: { wlan0: { access-points: { "Home net": { password: ${SECRET} } } } } }\n`,
    'meta-data': 'instance-id: rpi-imager-1\n',
    'userconf.txt': `carl:${SECRET}\n`,
    'custom.toml': `config_version = 1\n[user]\nname = "dora"\npassword = "${SECRET}"\n[wlan]\nssid = "Cafe"\npassword = "${SECRET}"\n`,
    'wpa_supplicant.conf': `network={\n  ssid="Old"\n  psk="${SECRET}"\n}\nnetwork={\n  ssid=6e6577\n}\n`,
    ssh: '',
  },
  root: {
    ...TRIXIE.root,
    'etc/shadow': `pi:${SECRET}:1::::::\n`,
    'etc/ssh/ssh_host_ed25519_key': SECRET,
    'etc/ssh/ssh_host_ed25519_key.pub': 'ssh-ed25519 AAAA',
    'etc/NetworkManager/system-connections/preconfigured.nmconnection': `[wifi]\nssid=Office\n[wifi-security]\npsk=${SECRET}\n`,
  },
};

test('what identity an image carries, by names', async () => {
  const { hostname, users, instanceId, ssh, wifi, hostKeys } = await identityOf(viewOf(CARRIES));
  assert.is(hostname, 'pi-a');
  assert.is((await identityOf(fakeView({}, { 'etc/hostname': 'raspberrypi\n' }))).hostname, 'raspberrypi');
  assert.equal(
    users.map(({ name, from, password }) => `${name} ${from} ${password}`),
    [
      'pi /etc/passwd set',
      'ann user-data unknown',
      'bob user-data unknown',
      'carl userconf.txt unknown',
      'dora custom.toml unknown',
    ],
  );
  assert.equal(instanceId, { value: 'rpi-imager-1', from: 'meta-data, instance-id' });
  assert.is(ssh, 'ssh on the boot partition');
  assert.equal(
    wifi.map(({ name }) => name),
    ['Home net', 'Cafe', 'Old', 'new', 'Office'],
  );
  assert.equal(hostKeys, ['/etc/ssh/ssh_host_ed25519_key', 'user-data']);
  const ds = { ...CARRIES.boot, 'cmdline.txt': 'quiet ds=nocloud;i=rpi-imager-2' };
  assert.equal((await identityOf(fakeView(ds, {}))).instanceId, { value: 'rpi-imager-2', from: 'cmdline.txt' });
});

test('nothing secret is told, in no form', async () => {
  const view = viewOf(CARRIES);
  const description = await describe(view);
  const facts = await readFacts(view);
  const said = [
    JSON.stringify(description),
    JSON.stringify(facts),
    formatInspection('x', description, styleFor({})),
    formatFacts(facts, styleFor({})),
  ];
  assert.not.match(said.join(), SECRET);
  // The control: names, which lie beside the secrets, are there.
  for (const name of ['ann', 'Home net', 'dora']) assert.match(said[0] ?? '', name);
});

test('a name from an image cannot steer the terminal', async () => {
  const text = formatInspection('x', await describe(fakeView({ 'userconf.txt': 'a\x1b[2Jb:x' }, {})), styleFor({}));
  assert.match(text, 'ab (userconf.txt)');
  assert.not.match(text, '\x1b');
});

test('of TOML, a string of one table', () => {
  const text = `name = "top"\n[ssh] # x\nname="no"\n[user]\nname = 'ann' # her\n[wlan]\nssid = "a \\"b\\""\n`;
  assert.equal(
    [tomlString(text, 'user', 'name'), tomlString(text, 'wlan', 'ssid'), tomlString(text, 'user', 'none')],
    ['ann', 'a "b"', undefined],
  );
});

test('facts have the ids that fixtures are compared by, a source each, and values of each era', async () => {
  const ids =
    'table p1-start p1-sectors p1-type p1-label cluster-bytes p2-start p2-type p2-label ext4-features cmdline fstab partuuid-hook initramfs-modules first-user machine-id host-keys cloud-cfg datasource meta-data first-boot-units resize kernel8-gzip config-auto-initramfs init-format';
  assert.is(FACTS.map(({ id }) => id).join(' '), ids);
  for (const { id, what, documented, source } of FACTS) assert.ok(what && documented && source, id);
  const values = async (era: Era) =>
    Object.fromEntries((await readFacts(viewOf(era))).map(({ id, value }) => [id, value]));
  const [trixie, bookworm, preseed, first] = [
    await values(TRIXIE),
    await values(BOOKWORM),
    await values(PRESEED),
    await values(FIRST_TRIXIE),
  ];
  assert.match(trixie['cmdline'] ?? '', /root=PARTUUID=XXXXXXXX-02 .* resize$/);
  assert.is(
    trixie['fstab'],
    'PARTUUID=XXXXXXXX-01 /boot/firmware vfat defaults 0 2; PARTUUID=XXXXXXXX-02 / ext4 defaults,noatime 0 1',
  );
  assert.is(trixie['datasource'], 'NoCloud, None; seedfrom: file:///boot/firmware');
  assert.equal([bookworm['datasource'], bookworm['cloud-cfg'], bookworm['machine-id']], ['none', 'none', 'empty']);
  const units =
    'cloud-init-local.service cloud-init-main.service rpi-resize.service sshswitch.service userconfig.service';
  assert.is(trixie['first-boot-units'], units);
  const formats = [trixie, bookworm, preseed, first].map((fact) => fact['init-format']);
  assert.equal(formats, ['cloudinit-rpi', 'custom-toml', 'rpi-preseed', 'systemd']);
});

test.run();
