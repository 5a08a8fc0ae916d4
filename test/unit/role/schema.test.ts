// The JSON schema for editors, and that it describes everything.
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseRole } from '../../../src/role/load.ts';
import { printReport } from '../../../src/lib/yaml/report.ts';
import { BOARD_FILTERS } from '../../../src/role/schema/board.ts';
import { roleFileSchema, roleJsonSchema } from '../../../src/role/schema.ts';
import { keysAt } from '../../../src/lib/yaml/schema-keys.ts';
import { codeBlocks } from '../../helpers/readme.ts';
import { root } from './golden.ts';

test('the committed JSON schema is the one of the code: `npm run schema` writes it', () => {
  const committed = readFileSync(`${root}/images/schemas/role.schema.json`, 'utf8');
  assert.is(committed, `${JSON.stringify(roleJsonSchema(), null, 2)}\n`);
});

test('editors have a description for every key', () => {
  const missing: string[] = [];
  const visit = (schema: Record<string, unknown>, path: string): void => {
    for (const [key, value] of Object.entries((schema.properties ?? {}) as Record<string, Record<string, unknown>>)) {
      if (typeof value.description !== 'string') missing.push(`${path}.${key}`);
      visit(value, `${path}.${key}`);
    }
    for (const list of ['anyOf', 'oneOf']) {
      for (const form of (schema[list] ?? []) as Record<string, unknown>[]) visit(form, path);
    }
    if (typeof schema.items === 'object') visit(schema.items as Record<string, unknown>, `${path}[]`);
  };
  visit(roleJsonSchema(), '');
  assert.equal(missing, []);
});

const KEYS: [path: (string | number)[], data: unknown, keys: string[]][] = [
  [['packages', 0], { packages: [{ nam: 'x' }] }, ['name', 'version']],
  [['health', 0], { health: [{ check: 'unit' }] }, ['check', 'unit', 'name', 'within']],
  [['units'], {}, ['enable', 'disable', 'mask']],
  [['nowhere', 'at', 'all'], {}, []],
];
for (const [path, data, keys] of KEYS) {
  test(`knows the keys at ${path.join('.')}`, () => assert.equal(keysAt(roleJsonSchema(), path, data), keys));
}

test('shipped roles name the schema for editors', () => {
  for (const role of ['base', 'web']) {
    const [first] = readFileSync(`${root}/images/roles/${role}.yaml`, 'utf8').split('\n');
    assert.is(first, '# yaml-language-server: $schema=../schemas/role.schema.json');
  }
});

test('the roles in the README are valid, and one of them has every key', () => {
  const examples = codeBlocks(readFileSync(`${root}/images/README.md`, 'utf8'), 'yaml');
  const keys = examples.map((text) => {
    const { role, issues } = parseRole('/README.md', text);
    assert.is(printReport(issues), '');
    return Object.keys(role ?? {}).sort();
  });
  assert.ok(keys.length > 1);
  assert.equal(keys.at(-1), Object.keys(roleFileSchema.shape).sort());
});

test('filters are listed once', () => assert.is(new Set(BOARD_FILTERS).size, BOARD_FILTERS.length));

test.run();
