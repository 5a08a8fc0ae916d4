// Schemas of cloud-init's: complaints name document and field, values are not repeated, Wi-Fi is netplan's.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkCloudInit } from '../../../src/seed/check.ts';
import { minimalSeed } from '../../../src/seed/minimal.ts';

/** The shape of cloud-init's: draft 4, forms by oneOf behind $ref and allOf; draft 7 for networks. */
const cloudConfig = {
  $schema: 'http://json-schema.org/draft-04/schema#',
  definitions: {
    users: {
      properties: {
        users: {
          type: 'array',
          items: { oneOf: [{ type: 'string' }, { type: 'object', properties: { name: { type: 'string' } } }] },
        },
      },
    },
    // Draft 4: a boolean beside the bound.
    size: { properties: { size: { type: 'number', minimum: 0, exclusiveMinimum: true } } },
  },
  allOf: [{ $ref: '#/definitions/users' }, { $ref: '#/definitions/size' }],
  properties: {
    users: {},
    size: {},
    hostname: {},
    ssh_keys: { patternProperties: { '^(rsa|ed25519)_(private|public)$': {} }, additionalProperties: false },
  },
  additionalProperties: false,
};
const networkConfig = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  properties: {
    version: { const: 2 },
    ethernets: { additionalProperties: { properties: { dhcp4: { type: 'boolean' } } } },
  },
  additionalProperties: false,
};
const good = { 'user-data': '#cloud-config\n{}\n', 'network-config': 'version: 2\n' };
const complaints = (texts: Partial<typeof good>) =>
  checkCloudInit({ ...good, ...texts }, { cloudConfig, networkConfig });

test('what fits is fine, also that of a new image, and Wi-Fi beside it', () => {
  assert.equal(complaints({}), []);
  assert.equal(complaints({ 'network-config': 'version: 2\nwifis: { wlan0: {} }\n' }), []);
  const [user, , network] = minimalSeed('x').map(({ content }) => content.toString());
  assert.equal(complaints({ 'user-data': user ?? '', 'network-config': network ?? '' }), []);
});

const wrong: [string, Partial<typeof good>, string[]][] = [
  ['an unknown key', { 'user-data': 'hostnam: x' }, ['user-data: hostnam: cloud-init knows no such key here']],
  [
    'a name that is a number',
    { 'user-data': 'users: [{ name: 1 }]' },
    ['user-data: users.0.name: Instance type "number" is invalid. Expected "string".'],
  ],
  ['a bound of draft 4', { 'user-data': 'size: 0' }, ['user-data: size: 0 is less than or equal to  0.']],
  [
    'a host key of an unknown type',
    { 'user-data': 'ssh_keys: { dsa_private: hunter2 }' },
    ['user-data: ssh_keys.dsa_private: cloud-init knows no such key here'],
  ],
  [
    'DHCP that may be',
    { 'network-config': 'version: 2\nethernets: { a: { dhcp4: perhaps } }' },
    ['network-config: ethernets.a.dhcp4: Instance type "string" is invalid. Expected "boolean".'],
  ],
  ['another version', { 'network-config': 'version: 1' }, ['network-config: version: Instance does not match 2.']],
];
for (const [name, texts, says] of wrong) test(`found: ${name}`, () => assert.equal(complaints(texts), says));

test('without schemas nothing is checked', () => {
  assert.equal(checkCloudInit({ ...good, 'user-data': 'hostnam: x' }, {}), []);
});

test.run();
