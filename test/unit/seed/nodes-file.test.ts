// Files of several nodes: what each gets of what all have, reports about faulty ones that show no secret, and plain node files.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Validator } from '@cfworker/json-schema';
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, stringify } from 'yaml';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';
import { printReport, type Issue } from '../../../src/lib/yaml/report.ts';
import { loadNode } from '../../../src/seed/node-file.ts';
import { nodeSchema } from '../../../src/seed/node.ts';
import { hostOf, nodesFileJsonSchema, nodesSchema } from '../../../src/seed/nodes.ts';
import { loadNodes } from '../../../src/seed/nodes-file.ts';
import { codeBlocks } from '../../helpers/readme.ts';
import { keyLine } from '../../helpers/ssh-keys.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { golden, portable, root } from '../role/golden.ts';

const invalid = `${root}/test/fixtures/nodes/invalid-nodes`;
const folder = temporaryFolder();
let count = 0;

function written(text: string): string {
  const file = join(folder, `${++count}.yaml`);
  writeFileSync(file, text);
  return file;
}

const shared = {
  version: 1,
  users: [{ name: 'ann', keys: [keyLine('ann')] }],
  network: { dns: ['192.168.254.1'], wifi: { ssid: 'home', password: 'password', country: 'DE' } },
  timezone: 'Europe/Berlin',
  variables: { port: 3000, motd: 'hello' },
  peers: { db: [{ name: 'pi-db1', addresses: ['192.168.254.130'] }], lb: [] },
  secrets: { db_password: 'all' },
  hostKeys: true,
};
const address = (last: number) => ({ addresses: [`192.168.254.${last}/24`], gateway: '192.168.254.1' });

const failureOf = async (work: () => unknown): Promise<PiimgError> => {
  try {
    await work();
  } catch (error) {
    assert.instance(error, PiimgError);
    assert.is((error as PiimgError).exitCode, EXIT.usage);
    return error as PiimgError;
  }
  throw new Error('nothing was thrown');
};

test('each has what all have; lists and the network are replaced, variables, secrets and peers are added to', async () => {
  const nodes = {
    'pi-web1': {
      users: [{ name: 'bob' }],
      network: address(122),
      variables: { port: 80, own: true },
      peers: { db: [] },
      secrets: { token: 'own' },
      timezone: 'Etc/UTC',
      hostKeys: false,
    },
    'pi-web2': null,
  };
  const { names, nodeFile } = await loadNodes(written(stringify({ ...shared, nodes })));
  assert.equal(names, ['pi-web1', 'pi-web2']);
  const first = nodeFile('pi-web1');
  assert.equal(
    first.users.map(({ name }) => name),
    ['bob'],
  );
  assert.equal(first.network, { ...address(122), dns: [] });
  assert.equal(first.variables, { port: 80, motd: 'hello', own: true });
  assert.equal(first.peers, { db: [], lb: [] });
  assert.equal(first.secrets, { db_password: 'all', token: 'own' });
  assert.equal([first.node, first.timezone, first.hostKeys], ['pi-web1', 'Etc/UTC', false]);
  assert.equal(nodeFile('pi-web2'), nodeSchema.parse({ ...shared, node: 'pi-web2' }));
});

test('a plain node file is for whichever machine is asked for, or its own', async () => {
  const own = await loadNodes(written(stringify({ ...shared, node: 'pi-file' })));
  assert.equal([own.names, own.nodeFile().node, own.nodeFile('other').node], [['pi-file'], 'pi-file', 'other']);
  const open = await loadNodes(written(stringify(shared)));
  assert.equal([open.names, open.nodeFile().node, open.nodeFile('other').node], [[], undefined, 'other']);
  const file = written(stringify({ ...shared, node: 'pi-file' }));
  assert.equal((await loadNodes(file)).nodeFile(), await loadNode(file));
});

test('a name that is not there, or missing, is told with those that are', async () => {
  const { nodeFile } = await loadNodes(written('version: 1\nnodes: { pi-web1: {}, pi-web2: {} }\n'));
  const slip = await failureOf(() => nodeFile('pi-wbe1'));
  assert.match(slip.message, /has no node `pi-wbe1`$/);
  assert.is(slip.hint, 'Did you mean `pi-web1`? It has pi-web1, pi-web2.');
  assert.is((await failureOf(() => nodeFile('constructor'))).hint, 'It has pi-web1, pi-web2.');
  const none = await failureOf(() => nodeFile());
  assert.match(`${none.message} ${none.hint}`, /is of 2 machines, and none was named .*--node.*: pi-web1, pi-web2\.$/);
  const single = await loadNodes(written('version: 1\nnodes: { pi-web1: {} }\n'));
  assert.is(single.nodeFile().node, 'pi-web1', 'negative control: the only one need not be named');
});

for (const file of readdirSync(invalid).filter((name) => name.endsWith('.yaml'))) {
  const name = file.replace(/\.yaml$/, '');
  test(`reports what is wrong with ${name}, and shows no secret`, async () => {
    const { cause, message, detail = '' } = await failureOf(() => loadNodes(join(invalid, file)));
    assert.not.match(`${message}${detail}${JSON.stringify(cause)}`, /hunter2/);
    golden(`${invalid}/${name}.expected.txt`, portable(`${message}\n\n${printReport(cause as Issue[], root)}\n`));
  });
}

test('the example in the README is valid', async () => {
  const [, example = ''] = codeBlocks(readFileSync(`${root}/src/seed/README.md`, 'utf8'), 'yaml');
  const { names, nodeFile } = await loadNodes(written(example));
  assert.ok(names.length > 1);
  for (const name of names) assert.ok(nodeFile(name).users.length > 0);
});

test('spellings of an IPv6 address are one address', () => {
  assert.is(hostOf('FD00:0::0001/64'), hostOf('fd00::1/48'));
  assert.is.not(hostOf('fd00::1/64'), hostOf('fd00::2/64'));
  assert.is(hostOf('192.168.254.122/24'), '192.168.254.122');
});

const own = fc.record(
  {
    users: fc.uniqueArray(
      fc.constantFrom('ann', 'bob', 'eve').map((name) => ({ name })),
      { selector: (u) => u.name },
    ),
    network: fc.record({ dns: fc.array(fc.ipV4(), { maxLength: 2 }) }),
    locale: fc.constantFrom('C.UTF-8', 'de_DE.UTF-8'),
    timezone: fc.constantFrom('Etc/UTC', 'Europe/Berlin'),
    variables: fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.oneof(fc.string(), fc.integer(), fc.boolean())),
    secrets: fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.string()),
    peers: fc.dictionary(fc.constantFrom('db', 'lb'), fc.constant([])),
    report: fc.constant('http://192.168.254.1/done'),
    hostKeys: fc.boolean(),
  },
  { requiredKeys: [] },
);

test('for any two parts: the node is valid, and each key is of the nearer part, or of both', async () => {
  await fc.assert(
    fc.asyncProperty(own, own, async (common, each) => {
      const file = written(JSON.stringify({ version: 1, ...common, nodes: { a: each, b: null } }));
      const { nodeFile } = await loadNodes(file);
      const added = ['variables', 'secrets', 'peers'] as const;
      const merged = Object.fromEntries(added.map((key) => [key, { ...common[key], ...each[key] }]));
      assert.equal(nodeFile('a'), nodeSchema.parse({ version: 1, node: 'a', ...common, ...each, ...merged }));
      assert.equal(nodeFile('b'), nodeSchema.parse({ version: 1, node: 'b', ...common }));
    }),
    { numRuns: 50 },
  );
});

test('the committed JSON schema is the one of the code, and takes what zod takes: `npm run schema` writes it', () => {
  const committed = readFileSync(`${root}/images/schemas/nodes.schema.json`, 'utf8');
  assert.is(committed, `${JSON.stringify(nodesFileJsonSchema(), null, 2)}\n`);
  const validator = new Validator(nodesFileJsonSchema(), '7', false);
  const whole = { ...shared, nodes: { 'pi-web1': { network: address(122) }, 'pi-web2': null } };
  assert.ok(nodesSchema.safeParse(whole).success);
  assert.equal(validator.validate(whole).errors, []);
  assert.not.ok(validator.validate({ ...whole, nodes: { Pi: {} } }).valid);
  assert.not.ok(validator.validate({ ...whole, nodes: { pi: { node: 'pi' } } }).valid);
  assert.not.ok(validator.validate(parse('version: 1')).valid);
});

test.run();
