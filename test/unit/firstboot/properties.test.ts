// Whatever a document holds: the agent takes what `piimg seed` writes, refuses the rest without quoting it, and renders values as they are.
import { spawnSync } from 'node:child_process';
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { masked, secretValues, templateData } from '../../../firstboot/data.ts';
import { parseDocument } from '../../../firstboot/document.ts';
import { machineAt } from '../../../firstboot/machine.ts';
import { pathsBelow } from '../../../firstboot/paths.ts';
import { Problem } from '../../../firstboot/problem.ts';
import { prepare } from '../../../firstboot/kinds.ts';
import { render } from '../../../firstboot/step.ts';
import { canonicalJson } from '../../../src/lib/digest.ts';
import { provisionStep } from '../../../src/role/schema/provision.ts';
import { address as addressWord, nodeDocument, type NodeDocument } from '../../../src/seed/document.ts';
import { padSlot } from '../../../src/seed/minimal.ts';

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/);
const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,12}$/).filter((text) => text !== '__proto__');
const address = fc.oneof(fc.ipV4(), fc.ipV6()).filter((value) => addressWord.safeParse(value).success);
const text = fc.string({ unit: 'binary', maxLength: 40 }).filter((value) => !/\p{Cs}/u.test(value));

const documents: fc.Arbitrary<NodeDocument> = fc
  .record({
    node: label,
    role: label,
    network: fc.record({ addresses: fc.array(address, { maxLength: 3 }) }),
    variables: fc.dictionary(name, fc.oneof(text, fc.integer(), fc.boolean())),
    peers: fc.dictionary(label, fc.array(fc.record({ name: label, addresses: fc.array(address, { minLength: 1 }) }))),
    secrets: fc.dictionary(name, text),
  })
  .map((fields) => ({ version: 1 as const, buildId: 'ab'.repeat(32), ...fields }));

test('a document that seed would write comes back whole, padded to its slot', () => {
  fc.assert(
    fc.property(documents, (document) => {
      assert.ok(nodeDocument.safeParse(document).success);
      const bytes = padSlot(JSON.stringify(document), 128 * 1024);
      assert.is(canonicalJson(parseDocument(bytes.toString())), canonicalJson(document));
    }),
  );
});

/** A document with one field of it something else, or a text cut somewhere. */
const damaged = fc.oneof(
  fc
    .tuple(
      documents,
      fc.constantFrom('version', 'buildId', 'node', 'network', 'peers', 'secrets', 'other'),
      fc.jsonValue(),
    )
    .map(([document, field, value]) => JSON.stringify({ ...document, [field]: value })),
  fc.tuple(documents, fc.nat(400)).map(([document, at]) => JSON.stringify(document).slice(0, at)),
  text,
);

test('the agent takes a document when, and only when, the schema of seed does; a refusal names fields, never values', () => {
  fc.assert(
    fc.property(damaged, (given) => {
      let parsed: unknown;
      try {
        parsed = JSON.parse(given);
      } catch {
        parsed = undefined;
      }
      const valid = nodeDocument.safeParse(parsed).success;
      try {
        parseDocument(given);
        assert.ok(valid, `taken: ${given}`);
      } catch (error) {
        assert.instance(error, Problem);
        assert.not.ok(valid, `refused: ${given}: ${(error as Error).message}`);
      }
    }),
    { numRuns: 500 },
  );
  // Of a field that may hold a secret, in whatever way it is wrong.
  for (const secrets of ['hunter2hunter2', { token: ['hunter2hunter2'] }, { 'no name': 'hunter2hunter2' }]) {
    assert.throws(
      () => parseDocument(JSON.stringify({ version: 1, buildId: 'ab'.repeat(32), secrets })),
      (error: Error) => /secrets/.test(error.message) && !error.message.includes('hunter2'),
    );
  }
});

test('values go into a file as they are, whatever is in them', () => {
  fc.assert(
    fc.property(documents, (document) => {
      const data = templateData(document, { role: 'web', variables: {}, provision: [] }, 'host');
      for (const [key, value] of Object.entries(document.secrets)) {
        assert.is(render(`<{{secrets.${key}}}>`, 'a template', data), `<${value}>`);
      }
      const lines = '{{#peers.db}}{{name}} {{address}}\n{{/peers.db}}';
      const { db } = document.peers;
      if (db === undefined) assert.throws(() => render(lines, 'a template', data), /peers\.db/);
      else
        assert.is(render(lines, 'a template', data), db.map((peer) => `${peer.name} ${peer.addresses[0]}\n`).join(''));
    }),
  );
});

test('in a script a value is one word: a real shell gets it as it is', async () => {
  // What no process's argument can hold.
  const words = fc.array(
    text.filter((value) => !value.includes('\0')),
    { minLength: 1, maxLength: 30 },
  );
  await fc.assert(
    fc.asyncProperty(words, async (values) => {
      const variables = Object.fromEntries(values.map((value, index) => [`v${index}`, value]));
      const document = nodeDocument.parse({ version: 1, buildId: 'ab'.repeat(32), variables });
      const script = values.map((_, index) => `printf '%s\\0' {{v${index}}}`).join('\n');
      const step = provisionStep.parse({ step: 'command', name: 'print', script });
      const data = templateData(document, { role: 'web', variables: {}, provision: [] }, 'host');
      const { content } = await prepare(step, { paths: pathsBelow(machineAt('/nowhere').root), document, data });
      const { stdout } = spawnSync('sh', ['-eu'], { input: (content as { script: string }).script });
      assert.equal(stdout.toString().split('\0').slice(0, -1), values);
    }),
    { numRuns: 40 },
  );
});

test('no secret is left in a text that was masked, nor a line of it', () => {
  fc.assert(
    fc.property(documents, text, text, (document, before, after) => {
      const secrets = secretValues(document);
      for (const value of Object.values(document.secrets)) {
        if (value === null || value.length < 6) continue;
        const shown = masked(`${before}${value}${after}${JSON.stringify(value)}`, secrets);
        assert.not.ok(shown.includes(value), `${JSON.stringify(value)} in ${JSON.stringify(shown)}`);
      }
    }),
  );
});

test.run();
