// The node document: what it takes, what it fills in, and that the schema the agent checks it with is the one shipped.
import { readFile } from 'node:fs/promises';
import { Validator } from '@cfworker/json-schema';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeDocument, nodeJsonSchema } from '../../../src/seed/document.ts';

const buildId = 'ab'.repeat(32);
const whole = {
  version: 1,
  buildId,
  node: 'pi-web1',
  role: 'web',
  network: { addresses: ['192.168.254.122', 'fd00::7a'] },
  variables: { port: 3000, debug: false, motd: 'two\nlines' },
  peers: { db: [{ name: 'pi-db1', addresses: ['192.168.254.130'] }], lb: [] },
  secrets: { db_password: 'it\'s "quoted"', kept: null },
  report: 'http://192.168.254.1:8080/done',
};

test('what a build writes is a document, and the rest is filled in', () => {
  assert.equal(nodeDocument.parse({ version: 1, buildId }), {
    version: 1,
    buildId,
    network: { addresses: [] },
    variables: {},
    peers: {},
    secrets: {},
  });
  assert.equal(nodeDocument.parse(whole), whole);
});

const wrong: Record<string, object> = {
  'another version': { version: 2 },
  'no build id': { buildId: undefined },
  'a host name with capitals': { node: 'Pi' },
  'a host name of 64 letters': { node: 'a'.repeat(64) },
  'an address that is none': { network: { addresses: ['192.168.254.300'] } },
  'a peer without an address': { peers: { db: [{ name: 'pi-db1', addresses: [] }] } },
  'a variable that is a list': { variables: { port: [3000] } },
  'a variable with a name no shell takes': { variables: { 'a-b': 1 } },
  'a secret that is a number': { secrets: { pin: 1234 } },
  'a report to a file': { report: 'file:///etc/passwd' },
  'a report with a password': { report: 'http://me:secret@192.168.254.1/done' },
  'a key nobody knows': { hostname: 'pi' },
};

for (const [name, change] of Object.entries(wrong)) {
  test(`${name} is refused, by zod and by the JSON schema`, () => {
    const document: unknown = JSON.parse(JSON.stringify({ ...whole, ...change }));
    assert.not.ok(nodeDocument.safeParse(document).success);
    assert.not.ok(new Validator(nodeJsonSchema(), '7').validate(document).valid);
  });
}

test('the JSON schema takes the document that zod takes, and is the one that is shipped', async () => {
  assert.equal(new Validator(nodeJsonSchema(), '7', false).validate(whole).errors, []);
  const shipped = await readFile('images/schemas/node-document.schema.json', 'utf8');
  assert.is(shipped, `${JSON.stringify(nodeJsonSchema(), null, 2)}\n`, 'npm run schema');
});

test.run();
