// What a role says on top of what it extends and mixes in.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mergeDrafts, toDraft, type Draft } from '../../../src/role/draft.ts';
import { listRoles } from '../../../src/role/list.ts';
import { parseRole } from '../../../src/role/load.ts';
import { resolveRole } from '../../../src/role/resolve.ts';
import type { ResolvedRole } from '../../../src/role/resolved.ts';
import { roleFileSchema } from '../../../src/role/schema.ts';
import { baseDirs, bases, fixtures, golden, portable, root } from './golden.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const search = { roleDirs: [`${fixtures}/valid`], overlayDirs: [`${fixtures}/overlays`], baseDirs };

/** A folder with these files, by their paths. */
function folder(files: Record<string, string>): string {
  const dir = temporaryFolder();
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), content);
  }
  return dir;
}

function role(lines: string): string {
  return `version: 1\nsummary: a test\n${lines}\n`;
}

async function resolved(files: Record<string, string>, name: string): Promise<ResolvedRole> {
  const dir = folder(Object.fromEntries(Object.entries(files).map(([path, text]) => [`${path}.yaml`, role(text)])));
  return (await resolveRole(name, { roleDirs: [dir], overlayDirs: [], baseDirs }, bases)).role;
}

for (const name of ['child', 'everything']) {
  test(`resolves ${name} as recorded`, async () => {
    const { role, warnings } = await resolveRole(name, search, bases);
    assert.equal(warnings, []);
    golden(`${fixtures}/valid/${name}.resolved.json`, portable(`${JSON.stringify(role, null, 2)}\n`));
  });
}

test('takes the parent first, mixins in their order, the role itself last', async () => {
  const { variables } = await resolved(
    {
      parent: 'variables: { a: parent, b: parent, c: parent, d: parent }',
      first: 'variables: { b: first, c: first, d: first }',
      second: 'variables: { c: second, d: second }',
      child: 'extends: parent\nwith: [first, second]\nvariables: { d: child }',
    },
    'child',
  );
  assert.equal(variables, { a: 'parent', b: 'first', c: 'second', d: 'child' });
});

test('applies a role once that is extended twice', async () => {
  const { variables, sources } = await resolved(
    {
      common: 'variables: { a: common }',
      first: 'extends: common\nvariables: { a: first }',
      second: 'extends: common',
      child: 'with: [first, second]',
    },
    'child',
  );
  assert.is(variables.a, 'first', 'common is not applied again after first');
  assert.is(sources.length, 4);
});

test('lets remove win over inherited packages, and packages over inherited remove', async () => {
  const { packages, removePackages } = await resolved(
    { parent: 'packages: [vim, curl]\nremove: [nano]', child: 'extends: parent\nremove: [vim]\npackages: [nano]' },
    'child',
  );
  assert.equal(packages, [{ name: 'curl' }, { name: 'nano' }]);
  assert.equal(removePackages, ['vim']);
});

test("takes the user's own role before the built-in one, which it may extend", async () => {
  const own = folder({ 'web.yaml': role('extends: web\nvariables: { own: true }') });
  const builtIn = folder({ 'web.yaml': role('variables: { builtIn: true }') });
  const found = await resolveRole('web', { roleDirs: [own, builtIn], overlayDirs: [], baseDirs }, bases);
  assert.equal(found.role.variables, { builtIn: true, own: true });
});

test('finds overlays of the user first, and says which files a child replaces', async () => {
  const dir = folder({
    'roles/parent.yaml': role('overlays: [a]\nfiles: [{ path: /etc/inline, content: parent }]'),
    'roles/child.yaml': role('extends: parent\noverlays: [b]'),
    'own/a/rootfs/etc/x': 'own',
    'built-in/a/rootfs/etc/x': 'built-in',
    'built-in/b/rootfs/etc/inline': 'child',
  });
  const { role: found, warnings } = await resolveRole(
    'child',
    {
      roleDirs: [`${dir}/roles`],
      overlayDirs: [`${dir}/own`, `${dir}/built-in`],
      baseDirs,
    },
    bases,
  );
  assert.equal(warnings, []);
  const files = Object.fromEntries(found.files.map((file) => [file.path, file.source?.path.slice(dir.length)]));
  assert.equal(files, { 'etc/inline': '/built-in/b/rootfs/etc/inline', 'etc/x': '/own/a/rootfs/etc/x' });
});

test('lists all roles, the faulty ones too', async () => {
  const dir = folder({
    'good.yaml': role(''),
    'bad.yaml': 'version: 1\n',
    'contradiction.yaml': role('packages: [vim]\nremove: [vim]'),
    'notes.txt': '',
  });
  const roles = await listRoles({ roleDirs: [dir, `${dir}/nowhere`], overlayDirs: [], baseDirs }, bases);
  assert.equal(
    roles.map(({ name, summary, issues }) => [name, summary, issues.length]),
    [
      ['bad', '', 1],
      ['contradiction', 'a test', 1],
      ['good', 'a test', 0],
    ],
  );
});

test('names the nearest role when there is none of that name', async () => {
  const error = await resolveRole('chlid', search, bases).catch((caught: unknown) => caught as { hint: string });
  assert.match('hint' in error ? error.hint : '', 'Did you mean `child`?');
});

test('a role given by its file has the folders of its own project searched first, and so have the files it names', async () => {
  const dir = folder({
    'a/images/roles/child.yaml': role('extends: parent\nwith: [../../../b/images/roles/mixin.yaml]\noverlays: [hello]'),
    'a/images/roles/parent.yaml': role('base: mine\nvariables: { parent: a }'),
    'a/images/bases/mine.yaml': readFileSync(`${root}/images/bases/debian-trixie.yaml`, 'utf8'),
    'a/overlays/hello/rootfs/etc/hello': 'a',
    'b/images/roles/mixin.yaml': role('extends: other\noverlays: [only-b]'),
    'b/images/roles/other.yaml': role('variables: { other: b }'),
    'b/overlays/only-b/rootfs/etc/only-b': 'b',
    'here/roles/parent.yaml': role('variables: { parent: here }'),
    'here/overlays/hello/rootfs/etc/hello': 'here',
  });
  const here = { roleDirs: [`${dir}/here/roles`], overlayDirs: [`${dir}/here/overlays`], baseDirs };
  const { role: found } = await resolveRole(`${dir}/a/images/roles/child.yaml`, here, bases);
  assert.equal(found.variables, { parent: 'a', other: 'b' });
  assert.is(found.base, 'mine');
  const files = Object.fromEntries(found.files.map((file) => [file.path, file.source?.path.slice(dir.length)]));
  assert.equal(files, {
    'etc/hello': '/a/overlays/hello/rootfs/etc/hello',
    'etc/only-b': '/b/overlays/only-b/rootfs/etc/only-b',
  });
});

test('another base may stand in for that of the role, and the rules are about that one', async () => {
  const archives = [{ name: 'extra' }];
  const load = (name: string) => Promise.resolve({ name, archives });
  const file = `${fixtures}/valid/everything.yaml`;
  const error: unknown = await resolveRole(file, search, { load, name: 'other' }).catch((caught: unknown) => caught);
  assert.match((error as { detail: string }).detail, 'the base has an archive named `extra`');
  archives.length = 0;
  const { role: found, base } = await resolveRole(file, search, { load, name: 'other' });
  assert.equal([found.base, base.name], ['other', 'other']);
});

// ---- properties

const word = fc.constantFrom('aa', 'bb', 'cc', 'dd');
const unit = word.map((name) => `${name}.service`);
const { text: generated } = parseRole('/generated.yaml', 'version: 1\nsummary: generated\n');
/** Small files over few names, so that they meet; what one file must not say of a name it does not. */
const file = fc
  .record({
    variables: fc.dictionary(word, fc.nat(9)),
    states: fc.dictionary(word, fc.constantFrom('packages', 'remove')),
    units: fc.dictionary(unit, fc.constantFrom('enable', 'disable', 'mask')),
    cmdline: fc.uniqueArray(word),
    overlays: fc.uniqueArray(word),
    sysctl: fc.dictionary(
      word.map((name) => `net.${name}`),
      fc.nat(9),
    ),
    config: fc.dictionary(fc.constantFrom('all', 'pi4', 'cm4'), fc.uniqueArray(word)),
    timezone: fc.constantFrom('Etc/UTC', 'Europe/Berlin', undefined),
  })
  .map(({ states, units, ...rest }) => {
    const having = (map: Record<string, string>, state: string): string[] =>
      Object.keys(map).filter((key) => map[key] === state);
    const data = {
      version: 1,
      summary: 'generated',
      packages: having(states, 'packages'),
      remove: having(states, 'remove'),
      units: { enable: having(units, 'enable'), disable: having(units, 'disable'), mask: having(units, 'mask') },
      ...rest,
    };
    return toDraft(generated, roleFileSchema.parse(data));
  });

function shown(draft: Draft): unknown {
  return Object.entries(draft).map(([key, entries]) => [
    key,
    [...(entries as Map<string, { value: unknown }>)].map(([name, { value }]) => [name, value]),
  ]);
}

test('merging is associative', () => {
  fc.assert(
    fc.property(file, file, file, (a, b, c) => {
      assert.equal(shown(mergeDrafts(mergeDrafts(a, b), c)), shown(mergeDrafts(a, mergeDrafts(b, c))));
    }),
  );
});

test('merging a file with itself changes nothing', () => {
  fc.assert(
    fc.property(file, (a) => {
      const sorted = mergeDrafts(a, a);
      assert.equal(shown(mergeDrafts(sorted, a)), shown(sorted));
    }),
  );
});

test('every role that ships resolves without a warning', async () => {
  const shipped = { roleDirs: [`${root}/images/roles`], overlayDirs: [`${root}/overlays`], baseDirs };
  const roles = await listRoles(shipped, bases);
  assert.equal(
    roles.map(({ name }) => name),
    ['base', 'web'],
  );
  for (const { name } of roles) {
    const { role, warnings } = await resolveRole(name, shipped, bases);
    assert.equal(warnings, [], name);
    assert.ok(role.health.length > 0, `${name} says what healthy is`);
  }
});

test.run();
