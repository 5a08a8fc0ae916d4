// An image that is given to another machine in another format keeps nothing of the earlier identity; and what the first boot of each is told of users.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import type { ImageFacts } from '../../../src/seed/formats/edits.ts';
import { bestEdits, editsFor } from '../../../src/seed/formats/write.ts';
import { CMDLINE, factsOf, HASH, nodeOf, OTHER_FORMATS, textIn, type OtherFormat } from '../../helpers/format-nodes.ts';
import { keyLine } from '../../helpers/ssh-keys.ts';

const LEFT = ['firstrun.sh', 'custom.toml', 'rpi-preseed.toml', 'userconf', 'userconf.txt', 'WPA_supplicant.conf'];
const WORDS =
  'systemd.run=/boot/firstrun.sh systemd.run_success_action=reboot systemd.unit=kernel-command-line.target ds=nocloud;i=rpi-imager-1';
const userOf = (format: OtherFormat): object =>
  format === 'userconf' ? { name: 'ann', passwordHash: HASH } : { name: 'ann', keys: [keyLine()] };
const nameOf = (format: OtherFormat): string => (format === 'userconf' ? 'raspberrypi' : 'pi1');

for (const format of OTHER_FORMATS) {
  test(`${format}: files and words of the other formats go, its own stay`, () => {
    const facts = factsOf(format, { cmdline: `${CMDLINE.trim()} ${WORDS}\n`, bootFiles: ['config.txt', ...LEFT] });
    const edits = editsFor(format, nodeOf({ users: [userOf(format)] }, nameOf(format)), facts);
    const written = edits.flatMap((edit) => ('content' in edit ? [edit.path] : []));
    const removed = edits.flatMap((edit) => ('content' in edit ? [] : [edit.path]));
    assert.equal(
      removed,
      LEFT.filter((name) => !written.includes(name)),
    );
    const cmdline = textIn(edits, 'cmdline.txt') ?? '';
    assert.not.match(cmdline, /rpi-imager|\/boot\/firstrun/);
    assert.is(/systemd\.(run|unit)/.test(cmdline), format === 'systemd');
    assert.is(/ds=nocloud/.test(cmdline), format.startsWith('cloudinit'));
    assert.match(cmdline, /^console=serial0,115200 /);
  });
}

test('words of an image itself stay: a script of its own, a source of cloud-init', () => {
  const own = 'systemd.run=/usr/bin/setup systemd.unit=kernel-command-line.target ds=nocloud;s=/x/';
  const facts = factsOf('custom-toml', { cmdline: `${own}\n` });
  assert.is(textIn(editsFor('custom-toml', nodeOf({}), facts), 'cmdline.txt'), undefined);
});

test('cloud-init at work: what it cannot be told goes into no other format', () => {
  for (const [format, file, said] of [
    ['cloudinit-rpi', { hostKeys: true }, /cloudinit-rpi.*--host-keys: ssh host keys/],
    ['cloudinit', { hostKeys: true }, /cloudinit.*--host-keys: ssh host keys/],
  ] as const) {
    let hint = '';
    const facts = factsOf(format);
    try {
      bestEdits([format, 'systemd', 'userconf'], nodeOf(file), facts);
    } catch (error) {
      assert.match((error as Error).message, said);
      hint = (error as { hint: string }).hint;
    }
    assert.match(hint, /cloud-init at work/);
  }
  const other = bestEdits(['custom-toml', 'systemd'], nodeOf({ locale: 'de_DE.UTF-8' }), factsOf('custom-toml'));
  assert.is(other.format, 'systemd');
});

interface UserData {
  user: { name: string };
  users?: unknown[];
  runcmd: (string | string[])[];
}
const userDataOf = (format: OtherFormat, file: object): UserData =>
  parse(textIn(editsFor(format, nodeOf(file), factsOf(format)), 'user-data') ?? '') as UserData;

test("cloudinit-rpi: the first user alone is cloud-init's, further ones are added after it", () => {
  const users = [{ name: 'pi' }, { name: 'bob', keys: [keyLine("o'neill")], groups: ['video'], sudo: true }];
  const data = userDataOf('cloudinit-rpi', { users });
  assert.is(data.user.name, 'pi');
  assert.is(data.users, undefined);
  const commands = data.runcmd.map((command) => [command].flat().join(' '));
  assert.equal(commands.slice(1, 5), [
    'usermod -s /bin/bash pi',
    'useradd -m -s /bin/bash bob',
    `printf '%s\\n' 'bob:*' | chpasswd -e`,
    'usermod -aG video bob',
  ]);
  assert.match(
    commands[5] ?? '',
    /^sh -c h=\$\(getent passwd bob .*'ssh-ed25519 .* o'\\''neill' > "\$h\/\.ssh\/authorized_keys"/,
  );
  assert.ok(commands.some((command) => command.includes('/etc/sudoers.d/010_bob-nopasswd')));
  assert.equal(userDataOf('cloudinit', { users }).users?.length, 2);
});

test("sudo that asks: the user's line in the rule of Raspberry Pi OS goes", () => {
  const users = [{ name: 'ann', sudo: false, keys: [keyLine()] }];
  const line = "test ! -e /etc/sudoers.d/010_pi-nopasswd || sed -i '/^ann /d' /etc/sudoers.d/010_pi-nopasswd";
  for (const format of ['cloudinit', 'cloudinit-rpi'] as const)
    assert.ok(userDataOf(format, { users }).runcmd.some((words) => words.at(-1) === line));
  const text = textIn(editsFor('rpi-preseed', nodeOf({ users }), factsOf('rpi-preseed')), 'rpi-preseed.toml') ?? '';
  assert.match(text, `early = ["usermod -s /bin/bash ann", "${line}", "u=`);
});

test('rpi-preseed: an empty file ssh has sshd started on the first boot', () => {
  assert.is(textIn(editsFor('rpi-preseed', nodeOf({}), factsOf('rpi-preseed')), 'ssh'), '');
});

const refuses = (format: OtherFormat, file: object, facts: Partial<ImageFacts>, message: RegExp): void =>
  assert.throws(() => editsFor(format, nodeOf(file, nameOf(format)), factsOf(format, facts)), message);
const wifi = (ssid: string): object => ({ network: { wifi: { ssid, country: 'DE' } } });

test('names of accounts: those of the system are nobody’s, and what the first user becomes must be free', () => {
  const user = (name: string): object => ({ users: [{ name, keys: [keyLine()] }] });
  const accounts = [
    { name: 'root', uid: 0, shell: true },
    { name: 'backup', uid: 34, shell: false },
    { name: 'nobody', uid: 65_534, shell: false },
    { name: 'pi', uid: 1000, shell: true },
    { name: 'kim', uid: 1001, shell: true },
  ];
  for (const format of ['cloudinit-rpi', 'cloudinit', 'systemd', 'custom-toml', 'rpi-preseed'] as const) {
    for (const name of ['backup', 'nobody'])
      refuses(format, user(name), { accounts }, new RegExp(`an account of its own called ${name}`));
    for (const name of ['pi', 'ann'])
      assert.ok(editsFor(format, nodeOf(user(name)), factsOf(format, { accounts })).length > 0);
    if (format === 'cloudinit') assert.ok(editsFor(format, nodeOf(user('kim')), factsOf(format, { accounts })));
    else refuses(format, user('kim'), { accounts }, /another user called kim, with id 1001/);
  }
  const two = {
    users: [
      { name: 'ann', keys: [keyLine()] },
      { name: 'backup', keys: [keyLine()] },
    ],
  };
  refuses('systemd', two, { accounts }, /backup/);
  const hashed = { users: [{ name: 'backup', passwordHash: HASH }] };
  refuses('userconf', hashed, { accounts: [{ name: 'backup', uid: 34, shell: true }] }, /backup/);
});

test('an image that has nothing for userconf.txt is given no user; by ssh alone it is let in', () => {
  const hashed = { users: [{ name: 'ann', passwordHash: HASH }] };
  refuses('userconf', hashed, { userconf: false }, /no userconf-pi/);
  const edits = editsFor('userconf', nodeOf({}, 'raspberrypi'), factsOf('userconf', { userconf: false }));
  assert.is(textIn(edits, 'ssh'), '');
});

test('cloud-init with NetworkManager: the name of a Wi-Fi as it is; one that would be taken for bytes is refused', () => {
  const ssidOf = (network: ImageFacts['network']): string => {
    const edits = editsFor('cloudinit', nodeOf(wifi('a "b"')), factsOf('cloudinit', { network }));
    const parsed = JSON.parse(textIn(edits, 'network-config') ?? '') as {
      network: { wifis: Record<string, { 'access-points': object }> };
    };
    return Object.keys(parsed.network.wifis['wlan0']?.['access-points'] ?? {})[0] ?? '';
  };
  assert.equal([ssidOf('NetworkManager'), ssidOf(undefined)], ['a "b"', 'a \\x22b\\x22']);
  refuses('cloudinit', wifi('1;2'), { network: 'NetworkManager' }, /takes it for a list of bytes/);
  for (const format of ['cloudinit', 'cloudinit-rpi'] as const)
    refuses(format, wifi('home'), { netplan: false }, /has no netplan/);
  assert.ok(editsFor('cloudinit', nodeOf(wifi('1;2')), factsOf('cloudinit', { network: undefined })));
});

test('a Wi-Fi by its bytes: each format has them in its own way, but the one that takes text only', () => {
  const hex = '4bfc6368650a';
  const node = nodeOf({ network: { wifi: { ssid: { hex }, password: 'password', country: 'DE' } } });
  const text = (format: OtherFormat, path: string, more: Partial<ImageFacts> = {}): string =>
    textIn(editsFor(format, node, factsOf(format, more)), path) ?? '';
  const list = '75;252;99;104;101;10;';
  assert.match(text('cloudinit-rpi', 'network-config'), `"${list}": {`);
  assert.match(text('cloudinit', 'network-config'), '"K\\\\xfcche\\\\x0a": {');
  assert.match(text('systemd', 'firstrun.sh'), `ssid=${list}`);
  assert.match(text('systemd', 'firstrun.sh', { network: 'dhcpcd' }), `ssid=${hex}`);
  assert.match(text('rpi-preseed', 'rpi-preseed.toml'), `ssid_hex = "${hex}"`);
  const user = { users: [{ name: 'ann', passwordHash: HASH }], network: node.network };
  assert.match(
    textIn(editsFor('userconf', nodeOf(user, 'raspberrypi'), factsOf('userconf')), 'wpa_supplicant.conf') ?? '',
    `ssid=${hex}`,
  );
  refuses('custom-toml', { network: node.network }, {}, /any name of a Wi-Fi/);
});

test('what an image lacks: a manager of its network, a shell for its first user, quotes in names of Wi-Fi', () => {
  const neither = /--wifi.*only where NetworkManager.*here neither NetworkManager nor dhcpcd does/;
  for (const format of ['systemd', 'custom-toml', 'rpi-preseed'] as const)
    refuses(format, wifi('home'), { network: undefined }, neither);
  const user = { users: [{ name: 'pi', passwordHash: HASH }] };
  refuses('userconf', user, { accounts: [{ name: 'pi', uid: 1000, shell: false }] }, /user pi without a shell/);
  assert.ok(editsFor('userconf', nodeOf(user, 'raspberrypi'), factsOf('userconf')));
  for (const ssid of ['a "b"', "it's", '$x', '`id`'])
    refuses('custom-toml', wifi(ssid), { wifiByShell: true }, /any name of a Wi-Fi/);
  assert.ok(editsFor('custom-toml', nodeOf(wifi('a "b"')), factsOf('custom-toml')));
  assert.ok(editsFor('custom-toml', nodeOf(wifi('home 2')), factsOf('custom-toml', { wifiByShell: true })));
});

test.run();
