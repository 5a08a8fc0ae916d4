// The texts a node becomes: golden files for three nodes, and that any node's texts say what it says, in JSON and in YAML.
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { yaml } from '../../../src/seed/cloud-init.ts';
import { nodeDocument } from '../../../src/seed/document.ts';
import { padSlot, SLOT_LENGTHS, type SlotName } from '../../../src/seed/minimal.ts';
import { nodeSchema, type Node } from '../../../src/seed/node.ts';
import { holdsSecrets, nodeTexts, type Card } from '../../../src/seed/texts.ts';
import { unescapeSsid, wifiKey } from '../../../src/seed/wifi.ts';
import { keyLine } from '../../helpers/ssh-keys.ts';
import { golden, root } from '../role/golden.ts';

const hostKey = {
  type: 'ed25519',
  privateKey: '-----BEGIN\nx\n-----END\n',
  publicKey: keyLine('root@pi-web1'),
} as const;
const card: Card = { buildId: 'ab'.repeat(32), role: 'web', random: '0123456789abcdef', hostKeys: [] };
const nodeOf = (file: object): Node => ({ ...nodeSchema.parse({ version: 1, ...file }), node: 'pi-web1' });

/** What PyYAML, which cloud-init reads with, takes as a character (yaml/reader.py, NON_PRINTABLE). */
const PRINTABLE = /^[\t\n\r\x20-\x7e\x85\u00a0-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u;

const nodes: Record<string, [object, Card]> = {
  dhcp: [{ users: [{ name: 'pi', keys: [keyLine()] }] }, card],
  fixed: [
    {
      users: [
        { name: 'ann', keys: [keyLine('ann'), keyLine('ann', 'sk-ssh-ed25519@openssh.com')], groups: ['video'] },
        { name: 'bob', keys: [keyLine('bob')] },
        { name: 'eve', sudo: true },
      ],
      network: { addresses: ['192.168.254.122/24'], gateway: '192.168.254.1', dns: ['1.1.1.1', '2606:4700::1111'] },
      locale: 'de_DE.UTF-8',
      timezone: 'Europe/Berlin',
      variables: { port: 3000, debug: false, motd: 'two\nlines' },
      peers: { db: [{ name: 'pi-db1', addresses: ['192.168.254.130'] }] },
      secrets: { db_password: 'it\'s "quoted"' },
      report: 'http://192.168.254.1:8080/done',
    },
    { ...card, hostKeys: [hostKey] },
  ],
  wifi: [
    {
      network: {
        addresses: ['192.168.254.122/24', 'fd00::7a/64'],
        wifi: { ssid: 'my "net" \\ é', password: 'password', country: 'DE' },
      },
    },
    card,
  ],
  'open-wifi': [{ network: { wifi: { ssid: 'guests', country: 'DE' } } }, card],
};

test('built on a Raspberry Pi OS: groups and ssh by commands, names of Wi-Fi as NetworkManager reads them', () => {
  const made = { ...card, raspberryPi: true };
  const wifi = { ssid: 'my "net" #1', password: 'password', country: 'DE' };
  const users = [
    { name: 'ann', keys: [keyLine('ann')], groups: ['video', 'docker'] },
    { name: 'bob', keys: [keyLine('bob')], groups: ['video'] },
  ];
  const texts = nodeTexts(nodeOf({ users, network: { wifi } }), made);
  const user = parse(texts['user-data']) as {
    users: { name: string; groups?: string[] }[];
    runcmd: (string | string[])[];
  };
  // The first one gives `pi` another name, and what cloud-init was to add to it is forgotten; the others come by commands, after it.
  assert.equal(
    user.users.map(({ name, groups }) => [name, groups]),
    [['ann', undefined]],
  );
  assert.equal(
    user.runcmd.filter(([program]) => program !== 'sh'),
    [
      ['systemctl', 'enable', '--now', 'ssh'],
      ['usermod', '-s', '/bin/bash', 'ann'],
      ['useradd', '-m', '-s', '/bin/bash', 'bob'],
      `printf '%s\\n' 'bob:*' | chpasswd -e`,
      ['usermod', '-aG', 'video', 'bob'],
      ['usermod', '-aG', 'video', 'ann'],
      ['usermod', '-aG', 'docker', 'ann'],
    ],
  );
  const scripts = user.runcmd.filter(([program]) => program === 'sh').map(([, , script = '']) => script);
  assert.match(scripts[0] ?? '', keyLine('bob'));
  assert.match(scripts[1] ?? '', '/etc/sudoers.d/010_ann-nopasswd');
  const { wifis } = parse(texts['network-config']) as {
    wifis: Record<string, { 'access-points': Record<string, object> }>;
  };
  assert.equal(Object.keys(wifis.wlan0?.['access-points'] ?? {}), [wifi.ssid]);
  // The radio is off until somebody switches it on, also where the role has all users.
  const radio = /rfkill unblock wifi.*nmcli radio wifi on/;
  assert.match(scripts.at(-1) ?? '', radio);
  assert.match(nodeTexts(nodeOf({ network: { wifi } }), made)['user-data'], radio);
  assert.not.match(nodeTexts(nodeOf({ users }), made)['user-data'], radio);
  const bytes = { network: { wifi: { ...wifi, ssid: '1;2;' } } };
  assert.throws(() => nodeTexts(nodeOf(bytes), made), /takes it for a list of bytes/);
  nodeTexts(nodeOf(bytes), card);
});

for (const [name, [file, made]] of Object.entries(nodes)) {
  test(`the texts of a node: ${name}`, () => {
    const texts = nodeTexts(nodeOf(file), made);
    const all = Object.entries(texts).map(([slot, text]) => `==> ${slot}\n${text}`);
    golden(`${root}/test/golden/seed/${name}.txt`, all.join('\n'));
    for (const text of Object.values(texts)) assert.match(text, PRINTABLE);
    assert.equal(nodeDocument.parse(JSON.parse(texts['piimg.json'])).buildId, card.buildId);
  });
}

test('wherever there is Wi-Fi the wired cards stay alive', () => {
  for (const [file, made] of Object.values(nodes)) {
    const { ethernets } = parse(nodeTexts(nodeOf(file), made)['network-config']) as { ethernets: { wired: unknown } };
    assert.ok(ethernets.wired);
  }
});

test('the password of a Wi-Fi is nowhere in the texts', () => {
  const password = 'hunter2hunter2';
  const node = nodeOf({ network: { wifi: { ssid: 'home', password, country: 'DE' } } });
  const texts = Object.values(nodeTexts(node, card)).join();
  assert.not.match(texts, password);
  assert.match(texts, wifiKey(password, 'home'));
});

test('what must not be read by others is known', () => {
  const holds = (file: object, hostKeys: Card['hostKeys'] = []) => holdsSecrets(nodeOf(file), hostKeys);
  assert.equal([holds({}), holds({ network: { wifi: { ssid: 'a', country: 'DE' } } })], [false, false]);
  assert.ok(holds({ secrets: { a: 'b' } }));
  assert.ok(holds({ network: { wifi: { ssid: 'a', password: 'password', country: 'DE' } } }));
  assert.ok(holds({}, [hostKey]));
});

test('any value comes back from YAML and JSON, padded, and in characters that PyYAML takes', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.string({ unit: 'binary', maxLength: 40 }), (value, text) => {
      const document = { value, text: Buffer.from(text).toString() };
      const padded = padSlot(yaml(document), 4 * 1024).toString();
      assert.equal(JSON.parse(padded), JSON.parse(JSON.stringify(document)));
      assert.match(padded, PRINTABLE);
      assert.equal((parse(padded) as { text: string }).text, document.text);
    }),
  );
});

test('negative control: JSON alone has characters that PyYAML refuses', () => {
  assert.not.match(JSON.stringify('\x7f'), PRINTABLE);
});

test('any Wi-Fi that is taken comes back as the same bytes, and fits its slot', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 32 }), (ssid) => {
      const parsed = nodeSchema.safeParse({ version: 1, network: { wifi: { ssid, country: 'DE' } } });
      const right = ssid !== '' && Buffer.byteLength(ssid) <= 32 && !/[\p{Cc}\p{Cs}\ufffd]/u.test(ssid);
      assert.is(parsed.success, right, JSON.stringify(ssid));
      if (!parsed.success) return;
      const text = nodeTexts({ ...parsed.data, node: 'pi' }, card)['network-config'];
      const { wifis } = parse(text) as { wifis: { wlan0: { 'access-points': object } } };
      const [name = ''] = Object.keys(wifis.wlan0['access-points']);
      assert.not.match(name, /["#]/);
      assert.is(unescapeSsid(name), ssid);
    }),
  );
});

test('every text of every golden node fits its slot', () => {
  for (const [file, made] of Object.values(nodes)) {
    for (const [name, text] of Object.entries(nodeTexts(nodeOf(file), made))) {
      padSlot(text, SLOT_LENGTHS[name as SlotName], name);
    }
  }
});

test.run();
