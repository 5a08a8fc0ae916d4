// The seed of a machine that is to be logged in to: what cloud-init reads from it.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { type LoginSeed, loginSeed } from '../../../src/seed/login.ts';
import { SLOT_LENGTHS, type SlotName } from '../../../src/seed/minimal.ts';

const slots = (Object.keys(SLOT_LENGTHS) as SlotName[]).map((name) => ({
  name,
  length: SLOT_LENGTHS[name],
  offset: 1,
}));
const seed: LoginSeed = { instanceId: 'i-1', hostname: 'probe', user: 'me', keys: ['ssh-ed25519 AAAA me'] };
const parsed = (name: SlotName, changes: Partial<LoginSeed> = {}): unknown => {
  const found = loginSeed(slots, { ...seed, ...changes }).find(({ slot }) => slot.name === name);
  return parse(found?.content.toString() ?? '');
};

test('three slots are filled to their length, the node document stays', () => {
  const made = loginSeed(slots, seed);
  assert.equal(
    made.map(({ slot }) => slot.name),
    ['user-data', 'meta-data', 'network-config'],
  );
  for (const { slot, content } of made) assert.is(content.length, slot.length);
});

test('the user logs in by key and has no password', () => {
  assert.equal(parsed('user-data'), {
    hostname: 'probe',
    users: [
      {
        name: 'me',
        lock_passwd: true,
        shell: '/bin/bash',
        sudo: 'ALL=(ALL) NOPASSWD:ALL',
        ssh_authorized_keys: ['ssh-ed25519 AAAA me'],
      },
    ],
  });
  assert.ok(loginSeed(slots, seed)[0]?.content.toString().startsWith('#cloud-config\n'));
  assert.equal(parsed('meta-data'), { 'instance-id': 'i-1', 'local-hostname': 'probe' });
});

test('networks by DHCP, but for the cards with addresses of their own', () => {
  const wired = { match: { name: 'e*' }, dhcp4: true, dhcp6: true, optional: true };
  assert.equal(parsed('network-config'), { version: 2, ethernets: { wired } });
  const mac = '52:54:00:12:34:57';
  const config = parsed('network-config', { fixed: [{ mac, addresses: ['198.51.100.1/24'] }] });
  const fixed0 = { match: { macaddress: mac }, addresses: ['198.51.100.1/24'], optional: true };
  assert.equal(config, { version: 2, ethernets: { fixed0, wired } });
  assert.equal(Object.keys((config as { ethernets: object }).ethernets), ['fixed0', 'wired']);
});

test('what does not fit is refused', () => {
  assert.throws(() => loginSeed(slots, { ...seed, keys: ['x'.repeat(65_536)] }), /user-data is \d+ bytes long/);
});

test.run();
