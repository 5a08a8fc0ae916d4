// What a card carries is told without what is secret in it, also where somebody has edited it by hand.
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { describeSeed } from '../../../src/seed/describe.ts';
import { minimalSeed } from '../../../src/seed/minimal.ts';
import type { NodeSlot } from '../../../src/seed/node-slots.ts';
import { nodeSchema } from '../../../src/seed/node.ts';
import { nodeTexts } from '../../../src/seed/texts.ts';
import { formatSeed } from '../../../src/ui/seed-summary.ts';
import { styleFor } from '../../../src/ui/style.ts';
import { keyLine } from '../../helpers/ssh-keys.ts';

const SECRET = 'hunter2';
const shown = (texts: Partial<Record<NodeSlot, string>>): string => {
  const description = describeSeed(texts);
  const text = formatSeed({ ...description, role: 'web', buildId: 'ab'.repeat(32) }, styleFor({}, {}));
  return `${text}\n${JSON.stringify(description)}`;
};

test('a node is told by all that is no secret', () => {
  const node = nodeSchema.parse({
    version: 1,
    users: [{ name: 'ann', keys: [keyLine('ann@laptop')] }],
    network: {
      addresses: ['192.168.254.122/24'],
      gateway: '192.168.254.1',
      dns: ['1.1.1.1'],
      wifi: { ssid: 'home', password: `${SECRET}-and-more`, country: 'DE' },
    },
    timezone: 'Europe/Berlin',
    variables: { port: 3000, api_token: SECRET },
    peers: { db: [{ name: 'pi-db1', addresses: ['192.168.254.130'] }] },
    secrets: { db_password: SECRET },
    report: `http://192.168.254.1/done?token=${SECRET}`,
  });
  const hostKey = { type: 'ed25519', privateKey: SECRET, publicKey: keyLine('root@pi') } as const;
  const card = { buildId: 'ab'.repeat(32), role: 'web', random: '0'.repeat(16), hostKeys: [hostKey] };
  const texts = nodeTexts({ ...node, node: 'pi-web1' }, card);
  const said = shown(texts);
  for (const fact of [
    'pi-web1',
    'piimg-pi-web1-0000000000000000',
    'ann (sudo): ssh-ed25519 ann@laptop',
    'wired: 192.168.254.122/24, DHCP for IPv6, gateway 192.168.254.1, DNS 1.1.1.1',
    'home (password set, DE)',
    'ssh-ed25519 SHA256:',
    'port = 3000',
    'api_token = (set)',
    'db: pi-db1 (192.168.254.130)',
    'db_password: (set)',
    'http://192.168.254.1/done?…',
  ]) {
    assert.ok(said.includes(fact), `${fact} in\n${said}`);
  }
  assert.not.match(said, SECRET);
  assert.match(Object.values(texts).join(), SECRET, 'negative control');
  const key = /"password": "([0-9a-f]{64})"/.exec(texts['network-config'])?.[1] ?? '';
  assert.ok(key !== '' && !said.includes(key));
});

test('a secret that the machine has kept is told', () => {
  assert.match(shown({ 'piimg.json': '{"secrets":{"a":null}}' }), 'a: (kept by the machine)');
});

test('the seed of a new image has nothing', () => {
  const texts = Object.fromEntries(minimalSeed('ab'.repeat(32)).map(({ name, content }) => [name, content.toString()]));
  const { users, network, hostKeys, problems } = describeSeed(texts);
  assert.equal([users, network.wifi, hostKeys, problems], [[], [], [], []]);
  assert.equal(network.cards, [{ name: 'wired', addresses: [], dns: [], dhcp: ['IPv4', 'IPv6'] }]);
});

const byHand = `#cloud-config
hostname: kitchen
password: ${SECRET}
chpasswd: { users: [{ name: ann, password: ${SECRET} }], list: "ann:${SECRET}" }
ssh_pwauth: true
users:
  - default
  - { name: ann, passwd: "$6$${SECRET}", sudo: "ALL=(ALL) ALL" }
  - { name: bob, plain_text_passwd: ${SECRET}, ssh_authorized_keys: ['command="${SECRET}" ${keyLine()}'] }
  - { name: eve, hashed_passwd: ${SECRET}, ssh_import_id: ['gh:eve'] }
ssh_keys: { rsa_private: ${SECRET}, rsa_public: ${SECRET} }
write_files: [{ path: /etc/token, content: ${SECRET} }]
runcmd: [[curl, -u, "me:${SECRET}", https://example.org]]
`;
const network = `network:
  version: 2
  ethernets: { eth0: { dhcp4: true, addresses: [10.0.0.2/24], gateway4: 10.0.0.1 } }
  wifis: { wlan0: { access-points: { home: { password: ${SECRET} }, work: { auth: { password: ${SECRET} } }, guests: {}, bar: { auth: { key-management: none } } } } }
`;

test('what people write by hand is masked', () => {
  const said = shown({ 'user-data': byHand, 'network-config': network, 'meta-data': 'instance-id: one\n' });
  assert.not.match(said, SECRET);
  for (const fact of [
    'kitchen',
    'ann (sudo, a password (set)): no key',
    'bob (a password (set)): another kind of line',
    'eve (a password (set)): no key',
    'also set     password, chpasswd, ssh_pwauth, write_files, runcmd',
    'eth0: 10.0.0.2/24, DHCP for IPv4, gateway 10.0.0.1',
    'home (password set)',
    'work (password set)',
    'guests (open)',
    'bar (open)',
  ]) {
    assert.ok(said.includes(fact), `${fact} in\n${said}`);
  }
});

const broken: Record<string, [Partial<Record<NodeSlot, string>>, RegExp]> = {
  'text that is no YAML': [{ 'user-data': `#cloud-config\na: "${SECRET}` }, /user-data is no YAML \(line 2\)/],
  'an alias without anchor': [{ 'network-config': `a: *${SECRET}` }, /network-config is no YAML/],
  'a script': [{ 'user-data': `#!/bin/sh\necho ${SECRET}` }, /user-data is no cloud-config/],
  'a list': [{ 'meta-data': `- ${SECRET}` }, /meta-data is no map/],
  'nothing at all': [{}, /piimg\.json is not there/],
};
for (const [name, [texts, says]] of Object.entries(broken)) {
  test(`told, and not shown: ${name}`, () => {
    assert.match(shown(texts), says);
    assert.not.match(shown(texts), SECRET);
  });
}

test('names that would drive a terminal are made plain', () => {
  const said = shown({
    'user-data': '#cloud-config\n{"hostname": "\\u001b[31mred\\u0007"}',
    'meta-data': '{"instance-id": "a\\nb"}',
  });
  assert.not.ok(said.includes('\u001b') || said.includes('\u0007'));
  assert.match(said, 'instance id  a b');
});

test('any document is told without an exception', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (one, other) => {
      const text = JSON.stringify({
        users: one,
        ssh_keys: other,
        ethernets: one,
        wifis: other,
        secrets: one,
        peers: other,
        variables: one,
      });
      shown({
        'user-data': `#cloud-config\n${text}`,
        'network-config': text,
        'meta-data': JSON.stringify(one),
        'piimg.json': text,
      });
    }),
  );
});

test.run();
