// Whatever is in a role file, the answer is a role or a report whose positions lie in the file.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PiimgError } from '../../../src/lib/errors.ts';
import { loadRole, parseRole } from '../../../src/role/load.ts';
import { printReport } from '../../../src/lib/yaml/report.ts';
import { roleFileSchema } from '../../../src/role/schema.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

function isAnswered(text: string): void {
  const { role, issues } = parseRole('/role.yaml', text);
  assert.is(role === undefined, issues.length > 0);
  const lines = text.split('\n');
  for (const { line, column, length } of issues) {
    assert.ok(line >= 1 && line <= lines.length, `line ${line} of ${lines.length}`);
    assert.ok(column >= 1 && column <= (lines[line - 1] ?? '').length + 1, `column ${column}`);
    assert.ok(length >= 0);
  }
  assert.is(printReport(issues) === '', issues.length === 0);
}

const keys = Object.keys(roleFileSchema.shape);

test('any value of any key', () => {
  const value = fc.oneof(fc.jsonValue(), fc.array(fc.dictionary(fc.constantFrom(...keys, 'name'), fc.jsonValue())));
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...keys), value), (data) => {
      isAnswered(JSON.stringify({ version: 1, summary: 'x', ...data }, null, 2));
    }),
  );
});

test('any text', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), isAnswered));
});

test('any text of the characters that mean something in YAML', () => {
  const text = fc.string({ unit: fc.constantFrom(...'version: 1\n -[]{}&*!|>\'"#%@,?\t'.split('')), maxLength: 80 });
  fc.assert(fc.property(text, isAnswered));
});

for (const depth of [100, 500, 5000]) {
  test(`brackets nested ${depth} deep`, () => {
    isAnswered(`version: 1\npackages: ${'['.repeat(depth)}${']'.repeat(depth)}\n`);
  });
}

const MODES: [written: string, mode: number][] = [
  ['0644', 0o644],
  ['644', 0o644],
  ['0o644', 0o644],
  ['"0644"', 0o644],
  ['4755', 0o4755],
];
for (const [written, mode] of MODES) {
  test(`reads mode ${written} as octal digits`, () => {
    const { role } = parseRole(
      '/role.yaml',
      `version: 1\nsummary: x\nfiles: [{ path: /x, content: '', mode: ${written} }]`,
    );
    assert.is(role?.files?.[0]?.mode, mode);
  });
}

test('takes lists shared by aliases', () => {
  const { role } = parseRole('/role.yaml', 'version: 1\nsummary: x\npackages: &list [vim]\nemulate: *list\n');
  assert.equal(role?.emulate, ['vim']);
});

test('points at what an alias stands for', () => {
  const { issues } = parseRole('/role.yaml', 'version: 1\nsummary: x\nremove: &list\n  - Vim\nemulate: *list\n');
  assert.equal(
    issues.map(({ line, column }) => [line, column]),
    [
      [4, 5],
      [4, 5],
    ],
  );
});

test('refuses files that are too large or not there', async () => {
  const file = join(temporaryFolder(), 'large.yaml');
  writeFileSync(file, `# ${'x'.repeat(1024 * 1024)}\n`);
  for (const path of [file, `${file}.nowhere`]) {
    const error: unknown = await loadRole(path).catch((caught: unknown) => caught);
    assert.instance(error, PiimgError);
    assert.match((error as PiimgError).message, path);
  }
});

test.run();
