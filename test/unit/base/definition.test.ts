// Base definitions: the shipped one is valid, faulty ones get the same reports as roles.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadBase } from '../../../src/base/definition.ts';
import { baseJsonSchema } from '../../../src/base/schema.ts';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';
import { printReport, type Issue } from '../../../src/lib/yaml/report.ts';
import { withFolder } from '../cli/piimg.ts';
import { golden, portable, root } from '../role/golden.ts';

const invalid = `${root}/test/fixtures/bases/invalid`;

async function failure(name: string, dirs: string[]): Promise<PiimgError> {
  const error: unknown = await loadBase(name, dirs).catch((caught: unknown) => caught);
  assert.instance(error, PiimgError);
  return error as PiimgError;
}

test('the shipped bases are valid, and name the schema for editors', async () => {
  const names = readdirSync(`${root}/images/bases`).map((file) => file.replace(/\.yaml$/, ''));
  assert.ok(names.includes('debian-trixie'));
  for (const name of names) {
    const base = await loadBase(name, [`${root}/images/bases`]);
    assert.is(base.name, name);
    const [first] = readFileSync(`${root}/images/bases/${name}.yaml`, 'utf8').split('\n');
    assert.is(first, '# yaml-language-server: $schema=../schemas/base.schema.json');
  }
});

test('on Raspberry Pi OS the dialog that waits at a keyboard holds up no target, and ssh is on as on the default base', async () => {
  for (const name of ['raspios-lite', 'raspios-desktop', 'raspios-full']) {
    const { files, run } = await loadBase(name, [`${root}/images/bases`]);
    const drop = files.find(({ path }) => path === 'etc/systemd/system/userconfig.service.d/piimg.conf');
    assert.match(drop?.content ?? '', /^\[Unit\]\nDefaultDependencies=no\n/);
    // What the default dependencies would have said besides.
    for (const line of ['After=sysinit.target basic.target', 'Conflicts=shutdown.target', 'Before=shutdown.target'])
      assert.match(drop?.content ?? '', `${line}\n`);
    assert.ok(
      run.some(({ script }) => /systemctl enable ssh\.service/.test(script)),
      name,
    );
  }
});

for (const file of readdirSync(invalid).filter((name) => name.endsWith('.yaml'))) {
  const name = file.replace(/\.yaml$/, '');
  test(`reports what is wrong with ${name}`, async () => {
    const error = await failure(name, [invalid]);
    assert.is(error.exitCode, EXIT.usage);
    const report = printReport(error.cause as Issue[], root);
    golden(`${invalid}/${name}.expected.txt`, portable(`${error.message}\n\n${report}\n`));
  });
}

test('a variant says which image, all else is of the base that it names', () =>
  withFolder(async (own) => {
    const dirs = [own, `${root}/images/bases`];
    const image = `image: {list: 'https://pi.example/list.json', names: [Own]}`;
    const variant = (of: string) => `version: 1\nkind: variant\nof: ${of}\nsummary: Our own\n${image}\n`;
    writeFileSync(`${own}/own.yaml`, variant('raspios-lite'));
    const lite = await loadBase('raspios-lite', dirs);
    const expected = { list: 'https://pi.example/list.json', names: ['Own'] };
    assert.equal(await loadBase('own', dirs), { ...lite, name: 'own', summary: 'Our own', image: expected });

    for (const [of, message] of [
      ['debian-trixie', 'Base own is a variant of `debian-trixie`, which is no base of kind `image`'],
      ['raspios-desktop', 'Base own is a variant of `raspios-desktop`, which is no base of kind `image`'],
      ['own', 'Base own is a variant of `own`, which is no base of kind `image`'],
      ['raspios-light', `There is no base \`raspios-light\` in ${dirs.join(' or ')}`],
    ] as const) {
      writeFileSync(`${own}/own.yaml`, variant(of));
      const error = await failure('own', dirs);
      assert.is(error.message, message);
      assert.is(error.exitCode, EXIT.usage);
    }
  }));

test('an unknown name is told with the nearest, and cannot lead out of the folders', async () => {
  const dirs = [`${root}/nowhere`, `${root}/images/bases`];
  const unknown = await failure('debian-trixi', dirs);
  assert.is(unknown.exitCode, EXIT.usage);
  assert.is(
    unknown.hint,
    'Did you mean `debian-trixie`? Bases: debian-trixie, raspios-desktop, raspios-full, raspios-lite.',
  );
  assert.match((await failure('../roles/web', dirs)).message, 'There is no base `../roles/web`');
  assert.is((await failure('x', [])).hint, 'Bases: none.');
});

test('the first folder that has a base of the name wins', () =>
  withFolder(async (own) => {
    const shipped = `${root}/images/bases`;
    writeFileSync(`${own}/debian-trixie.yaml`, 'version: 2\n');
    assert.is((await loadBase('debian-trixie', [shipped, own])).name, 'debian-trixie');
    assert.match((await failure('debian-trixie', [own, shipped])).message, 'Base debian-trixie is not valid');
  }));

test('the committed JSON schema is the one of the code: `npm run schema` writes it', () => {
  const committed = readFileSync(`${root}/images/schemas/base.schema.json`, 'utf8');
  assert.is(committed, `${JSON.stringify(baseJsonSchema(), null, 2)}\n`);
});

test('editors have a description for every key', () => {
  const missing: string[] = [];
  const visit = (schema: Record<string, unknown>, path: string): void => {
    for (const [key, value] of Object.entries((schema.properties ?? {}) as Record<string, Record<string, unknown>>)) {
      if (typeof value.description !== 'string') missing.push(`${path}.${key}`);
      visit(value, `${path}.${key}`);
    }
    for (const form of (schema.oneOf ?? []) as Record<string, unknown>[]) visit(form, path);
    if (typeof schema.items === 'object') visit(schema.items as Record<string, unknown>, `${path}[]`);
  };
  visit(baseJsonSchema(), '');
  assert.equal(missing, []);
});

test.run();
