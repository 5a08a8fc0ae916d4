// Node files: what they may say, reports about faulty ones that show no secret, and options that go over them.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Validator } from '@cfworker/json-schema';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';
import { printReport, type Issue } from '../../../src/lib/yaml/report.ts';
import { completeNode, type Given } from '../../../src/seed/given.ts';
import { loadNode } from '../../../src/seed/node-file.ts';
import { nodeFileJsonSchema, nodeSchema } from '../../../src/seed/node.ts';
import { codeBlocks } from '../../helpers/readme.ts';
import { keyLine } from '../../helpers/ssh-keys.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { golden, portable, root } from '../role/golden.ts';

const invalid = `${root}/test/fixtures/nodes/invalid`;
const nothing: Given = { keys: [], addresses: [], dns: [], variables: {}, secrets: {} };
const whole = nodeSchema.parse({
  version: 1,
  node: 'pi-web1',
  users: [{ name: 'ann', keys: [keyLine('ann')] }, { name: 'bob' }],
  network: {
    addresses: ['192.168.254.122/24'],
    gateway: '192.168.254.1',
    dns: ['1.1.1.1'],
    wifi: { ssid: 'home', password: 'password', country: 'DE' },
  },
  locale: 'de_DE.UTF-8',
  timezone: 'Europe/Berlin',
  variables: { port: 3000, motd: 'hello' },
  peers: { db: [{ name: 'pi-db1', addresses: ['192.168.254.130'] }] },
  secrets: { db_password: 'file' },
  report: 'http://192.168.254.1:8080/done',
});

const thrownBy = (work: () => unknown): PiimgError => {
  try {
    work();
  } catch (error) {
    return error as PiimgError;
  }
  throw new Error('nothing was thrown');
};

for (const file of readdirSync(invalid).filter((name) => name.endsWith('.yaml'))) {
  const name = file.replace(/\.yaml$/, '');
  test(`reports what is wrong with ${name}, and shows no secret`, async () => {
    const error: unknown = await loadNode(join(invalid, file)).catch((caught: unknown) => caught);
    assert.instance(error, PiimgError);
    const { cause, exitCode, message, detail = '' } = error as PiimgError;
    assert.is(exitCode, EXIT.usage);
    assert.not.match(`${message}${detail}${JSON.stringify(cause)}`, /hunter2/);
    golden(`${invalid}/${name}.expected.txt`, portable(`${message}\n\n${printReport(cause as Issue[], root)}\n`));
  });
}

test('negative control: the text of a file without secrets is shown', async () => {
  const file = join(temporaryFolder(), 'node.yaml');
  writeFileSync(file, 'version: 1\nnode: Hunter2\n');
  const error: unknown = await loadNode(file).catch((caught: unknown) => caught);
  assert.match((error as PiimgError).detail ?? '', /2 \| node: Hunter2/);
});

test('a file is a node, and options that are not given change nothing', async () => {
  const file = join(temporaryFolder(), 'node.yaml');
  writeFileSync(file, JSON.stringify(whole));
  assert.equal(completeNode(await loadNode(file), nothing), whole);
});

test('the node file in the README is valid', () => {
  const [example = ''] = codeBlocks(readFileSync(`${root}/src/seed/README.md`, 'utf8'), 'yaml');
  const { network } = nodeSchema.parse(parse(example));
  assert.is(network.wifi?.ssid, 'home');
});

test('options go over the file', () => {
  const given: Given = {
    ...nothing,
    node: 'pi-web2',
    dns: ['9.9.9.9'],
    variables: { port: 80 },
    secrets: { db_password: 'option', more: 'x' },
    hostKeys: true,
  };
  const node = completeNode(whole, given);
  assert.equal(
    [node.node, node.hostKeys, node.network.dns, node.variables, node.secrets],
    ['pi-web2', true, ['9.9.9.9'], { port: 80, motd: 'hello' }, { db_password: 'option', more: 'x' }],
  );
  assert.equal([node.peers, node.report, node.locale], [whole.peers, whole.report, whole.locale]);
  assert.equal(node.network.addresses, whole.network.addresses);
});

test('an address on the command line does not keep the gateway of the file', () => {
  const { network } = completeNode(whole, { ...nothing, addresses: ['10.0.0.2/8'] });
  assert.equal([network.addresses, network.gateway], [['10.0.0.2/8'], undefined]);
  const both = completeNode(whole, { ...nothing, addresses: ['10.0.0.2/8'], gateway: '10.0.0.1' });
  assert.is(both.network.gateway, '10.0.0.1');
});

test('a password on the command line is for the Wi-Fi of the file; another Wi-Fi does not take its password', () => {
  const wifi = (given: Given['wifi']) => completeNode(whole, { ...nothing, wifi: given }).network.wifi;
  assert.equal(wifi({ password: 'other-password' }), { ssid: 'home', password: 'other-password', country: 'DE' });
  assert.equal(wifi({ ssid: 'café' }), { ssid: 'café', country: 'DE' });
});

test('keys are of the user that is named, of the first of the file, or of pi', () => {
  const users = (file: typeof whole | undefined, given: Partial<Given>) =>
    completeNode(file, { ...nothing, node: 'a', ...given }).users.map(({ name, keys }) => [name, keys.length]);
  const keys = [keyLine('x'), keyLine('y')];
  assert.equal(users(whole, { keys }), [
    ['ann', 2],
    ['bob', 0],
  ]);
  assert.equal(users(whole, { keys, user: 'bob' }), [
    ['ann', 1],
    ['bob', 2],
  ]);
  assert.equal(users(whole, { keys, user: 'eve' })[0], ['eve', 2]);
  assert.equal(users(undefined, { keys }), [['pi', 2]]);
  assert.equal(users(undefined, { user: 'me' }), [['me', 0]]);
  assert.equal(users(undefined, {}), []);
});

const refused: Record<string, [Partial<Given>, RegExp]> = {
  'no name': [{ node: undefined }, /has no name/],
  'a name with capitals': [{ node: 'Pi' }, /--node: allowed is a host name/],
  'a name of 64 letters': [{ node: 'a'.repeat(64) }, /--node/],
  'a user that is root': [{ user: 'root' }, /--user: root cannot log in/],
  'a user with a space': [{ user: 'a b' }, /--user/],
  'an address without its network': [{ addresses: ['192.168.254.122'] }, /--ip: allowed is an address with the length/],
  'a gateway elsewhere': [{ addresses: ['10.0.0.2/24'], gateway: '10.0.1.1' }, /--gateway: the gateway 10.0.1.1 is in/],
  'a gateway of the other family': [{ addresses: ['10.0.0.2/24'], gateway: 'fd00::1' }, /--gateway/],
  'a gateway without address': [{ gateway: '10.0.0.1' }, /--gateway: a gateway needs a fixed address/],
  'a name as name server': [{ dns: ['one.one'] }, /--dns: allowed is an IP address/],
  'a Wi-Fi without country': [{ wifi: { ssid: 'home' } }, /--wifi-country: is missing/],
  'a password without Wi-Fi': [{ wifi: { password: 'password', country: 'DE' } }, /--wifi: is missing/],
  'a country in small letters': [{ wifi: { ssid: 'home', country: 'de' } }, /--wifi-country: allowed is/],
  'a Wi-Fi of 33 bytes': [{ wifi: { ssid: `${'a'.repeat(31)}é`, country: 'DE' } }, /--wifi: .* 1 to 32 bytes/],
  'a Wi-Fi with a line break': [{ wifi: { ssid: 'a\nb', country: 'DE' } }, /--wifi: .* no control characters/],
  'a Wi-Fi that is no UTF-8': [{ wifi: { ssid: 'a\ufffd', country: 'DE' } }, /--wifi/],
  'a password of 7 letters': [{ wifi: { ssid: 'a', password: 'hunter2', country: 'DE' } }, /--wifi-password-file: /],
  'a password with CR': [{ wifi: { ssid: 'a', password: 'hunter2\r\nx', country: 'DE' } }, /--wifi-password-file: /],
  'a variable with a name that templates have': [{ variables: { peers: 1 } }, /--set peers: `peers` cannot be/],
  'a variable with a hyphen': [{ variables: { 'a-b': 1 } }, /--set a-b: allowed is letters/],
  'a secret with a hyphen': [{ secrets: { 'a-b': 'hunter2' } }, /--secret a-b: allowed is letters/],
};
for (const [name, [given, says]] of Object.entries(refused)) {
  test(`refused with the option's name, and without its secret: ${name}`, () => {
    const error = thrownBy(() => completeNode(undefined, { ...nothing, node: 'pi', ...given }));
    assert.instance(error, PiimgError);
    assert.is(error.exitCode, EXIT.usage);
    assert.match(error.message, says);
    assert.not.match(`${error.message} ${error.hint}`, /hunter2/);
  });
}

test('gateways that can be reached are taken', () => {
  const gateway = (addresses: string[], via: string) =>
    completeNode(undefined, { ...nothing, node: 'pi', addresses, gateway: via }).network.gateway;
  assert.is(gateway(['10.0.0.2/24', 'fd00::2/64'], '10.0.0.1'), '10.0.0.1');
  assert.is(gateway(['fd00::2/64'], 'fd00::1'), 'fd00::1');
  assert.is(gateway(['fd00::2/64'], 'fe80::1'), 'fe80::1');
});

test('the committed JSON schema is the one of the code, and takes what zod takes: `npm run schema` writes it', () => {
  const committed = readFileSync(`${root}/images/schemas/node.schema.json`, 'utf8');
  assert.is(committed, `${JSON.stringify(nodeFileJsonSchema(), null, 2)}\n`);
  const validator = new Validator(nodeFileJsonSchema(), '7', false);
  assert.equal(validator.validate(JSON.parse(JSON.stringify(whole))).errors, []);
  assert.not.ok(validator.validate({ version: 1, hostname: 'pi' }).valid);
});

test('the name of a Wi-Fi by its bytes: 1 to 32 of them, in hex digits', () => {
  const says = (ssid: unknown): string =>
    nodeSchema
      .safeParse({ version: 1, network: { wifi: { ssid, country: 'DE' } } })
      .error?.issues.map(({ message }) => message)
      .join() ?? '';
  assert.equal([says({ hex: '4bFC' }), says({ hex: 'ab'.repeat(32) })], ['', '']);
  for (const hex of ['ab'.repeat(33), 'abc', '', 'xy']) assert.match(says({ hex }), /1 to 32 bytes, of two hex digits/);
  for (const odd of [7, {}]) assert.match(says(odd), /as text, or its bytes in hex digits/);
});

test('a country by its own code, a time zone by its own letters', () => {
  const says = (file: object): string =>
    nodeSchema
      .safeParse({ version: 1, ...file })
      .error?.issues.map(({ message }) => message)
      .join() ?? '';
  const wifi = (country: string): object => ({ network: { wifi: { ssid: 'a', country } } });
  assert.is(says(wifi('GB')), '');
  assert.match(says(wifi('UK')), /`UK` is no country/);
  assert.match(says(wifi('QQ')), /no country/);
  assert.equal([says({ timezone: 'Europe/Berlin' }), says({ timezone: 'US/Eastern' })], ['', '']);
  assert.match(says({ timezone: 'Europe/BERLIN' }), /no.? .*time zone|not a time zone/);
});

test.run();
