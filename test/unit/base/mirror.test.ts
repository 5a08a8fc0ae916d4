// Which address the archives of a base get: the user's, the base's, the one of the host's apt.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { PackageBase } from '../../../src/base/definition.ts';
import { locateArchives } from '../../../src/base/mirror.ts';
import { smallBase } from '../../helpers/plan-inputs.ts';

const base: PackageBase = {
  ...smallBase(),
  archives: [
    { name: 'debian', suites: ['trixie', 'trixie-updates'], components: ['main'] },
    { name: 'debian-security', suites: ['trixie-security'], components: ['main'] },
  ],
};
const DEBIAN_HOST = [
  { uri: 'http://other.example.org/repo', release: 'stable-of-somebody' },
  { uri: 'http://deb.example.org/debian', release: 'bookworm' },
  { uri: 'http://deb.example.org/debian-security', release: 'bookworm-security' },
];
const UBUNTU_HOST = [
  { uri: 'http://archive.example.org/ubuntu', release: 'noble' },
  { uri: 'http://security.example.org/ubuntu', release: 'noble-security' },
];

const choices: [what: string, given: { mirror?: string; base?: string; host?: typeof DEBIAN_HOST }, found: string[]][] =
  [
    [
      "the host's apt",
      { host: DEBIAN_HOST },
      ['http://deb.example.org/debian', 'http://deb.example.org/debian-security'],
    ],
    ["the base's mirror before the host", { base: 'http://b.example', host: DEBIAN_HOST }, both('http://b.example')],
    ["the user's before all", { mirror: 'http://u.example', base: 'http://b.example' }, both('http://u.example')],
    ['the address of debian itself', { mirror: 'http://u.example/debian' }, both('http://u.example')],
    ['with slashes at its end', { mirror: 'http://u.example/debian///' }, both('http://u.example')],
    ['below a folder', { mirror: 'https://u.example/mirrors/' }, both('https://u.example/mirrors')],
  ];
for (const [what, { mirror, base: own, host = [] }, found] of choices) {
  test(`archives are found: ${what}`, () => {
    const located = locateArchives({ ...base, ...(own !== undefined && { mirror: own }) }, { mirror }, host);
    assert.equal(
      located.map(({ uri }) => uri),
      found,
    );
  });
}

function both(root: string): string[] {
  return [`${root}/debian`, `${root}/debian-security`];
}

test("debootstrap's mirror comes last", () => {
  const last = 'http://d.example/debian';
  const uris = (host: typeof DEBIAN_HOST) => locateArchives(base, { last }, host).map(({ uri }) => uri);
  assert.equal(uris(UBUNTU_HOST), both('http://d.example'));
  assert.equal(uris(DEBIAN_HOST), both('http://deb.example.org'));
});

test('an archive of somebody else is not taken for Debian because its suite has the same name', () => {
  const host = [{ uri: 'https://apt.example.com/browser', release: 'stable' }, ...DEBIAN_HOST];
  assert.equal(
    locateArchives(base, {}, host).map(({ uri }) => uri),
    both('http://deb.example.org'),
  );
});

test('suites, components and keyring are those of the base', () => {
  const [first] = locateArchives(base, { mirror: 'http://u.example' }, []);
  assert.equal(first, { ...base.archives[0], uri: 'http://u.example/debian', keyring: base.keyring });
});

for (const [what, host] of [
  ['Ubuntu', UBUNTU_HOST],
  ['nothing', []],
  ['Debian without security updates', DEBIAN_HOST.slice(0, 2)],
] as const) {
  test(`a host whose apt reads ${what}: the missing archive is named, and the setting`, () => {
    const name = what.startsWith('Debian') ? 'debian-security' : 'debian';
    assert.throws(
      () => locateArchives(base, {}, [...host]),
      (error: { message: string; hint?: string; exitCode: number }) =>
        error.exitCode === 2 && error.message.includes(`“${name}”`) && (error.hint ?? '').includes('--mirror URL'),
    );
  });
}

test.run();
