// What is read of an image's own system: its packages and archives, and which images are refused, by name.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { sourcesIn } from '../../../src/base/apt-sources.ts';
import { imageFacts } from '../../../src/base/image-facts.ts';
import { binaryKeys } from '../../../src/base/keyring.ts';
import { locateImageArchives } from '../../../src/base/mirror.ts';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';
import type { Files } from '../../../src/vendor/view.ts';

const ARMOR = `-----BEGIN PGP PUBLIC KEY BLOCK-----
Comment: somebody's

${Buffer.from('a key').toString('base64')}
=abcd
-----END PGP PUBLIC KEY BLOCK-----
`;

const stanza = (name: string, version: string, more = ''): string =>
  `Package: ${name}\nStatus: install ok installed\nArchitecture: arm64\nVersion: ${version}\n${more}Description: it\n one\n`;

const system: Record<string, string> = {
  'etc/os-release': 'ID=debian\nVERSION_CODENAME=trixie\n',
  'var/lib/dpkg/status': [
    stanza('dpkg', '1.22.21'),
    stanza('libc6', '2.41-12+rpt1'),
    stanza('libc6', '2.41-12').replace('arm64', 'armhf'),
    stanza('nano', '8.4').replace('install ok installed', 'deinstall ok config-files'),
  ].join('\n'),
  'etc/apt/sources.list': '# nothing\n',
  'etc/apt/sources.list.d/debian.sources': `Types: deb
URIs: http://d.example/debian/
Suites: trixie trixie-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp

Types: deb
URIs: http://d.example/debian-security/
Suites: trixie-security
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp
`,
  'etc/apt/sources.list.d/raspi.list': 'deb http://r.example/debian/ trixie main # theirs\n',
  'usr/share/keyrings/debian-archive-keyring.pgp': 'debian’s keys',
  'etc/apt/trusted.gpg.d/raspi.asc': ARMOR,
};

const filesOf = (texts: Record<string, string>): Files => ({
  read: (path) => Promise.resolve(texts[path] === undefined ? undefined : Buffer.from(texts[path])),
  list: (folder) =>
    Promise.resolve(
      Object.keys(texts).flatMap((path) => (path.startsWith(`${folder}/`) ? [path.slice(folder.length + 1)] : [])),
    ),
});

const factsOf = (changes: Record<string, string>) => imageFacts('it.img', filesOf({ ...system, ...changes }));

async function refusal(changes: Record<string, string>): Promise<PiimgError> {
  const error: unknown = await factsOf(changes).catch((caught: unknown) => caught);
  assert.instance(error, PiimgError);
  assert.is((error as PiimgError).exitCode, EXIT.usage);
  return error as PiimgError;
}

test('release, installed packages, archives with their keys', async () => {
  const { archives, ...facts } = await factsOf({});
  assert.is(facts.suite, 'trixie');
  assert.equal(facts.packages, { dpkg: '1.22.21', libc6: '2.41-12+rpt1', 'libc6:armhf': '2.41-12' });
  assert.equal(
    archives.map(({ name, uri, suites, keys, debians }) => [name, uri, suites, keys.toString(), debians]),
    [
      ['image:debian', 'http://d.example/debian/', ['trixie', 'trixie-updates'], 'debian’s keys', true],
      ['image:debian.2', 'http://d.example/debian-security/', ['trixie-security'], 'debian’s keys', true],
      ['image:raspi', 'http://r.example/debian/', ['trixie'], 'a key', false],
    ],
  );
});

test('an archive is Debian’s own when all it may be signed by are Debian’s keys', async () => {
  const line = 'deb http://x.example/debian trixie main\n';
  const trusted = 'etc/apt/trusted.gpg.d/debian-archive-trixie-stable.asc';
  const debians = async (changes: Record<string, string>): Promise<boolean | undefined> =>
    (await factsOf({ 'etc/apt/sources.list': line, ...changes })).archives[0]?.debians;
  assert.is(await debians({}), false, 'by the key of raspi alone');
  assert.is(await debians({ [trusted]: ARMOR }), false, 'by either');
  const { 'etc/apt/trusted.gpg.d/raspi.asc': _, 'etc/apt/sources.list.d/raspi.list': __, ...plain } = system;
  const alone = await imageFacts('it.img', filesOf({ ...plain, [trusted]: ARMOR, 'etc/apt/sources.list': line }));
  assert.is(alone.archives[0]?.debians, true);
  const named =
    'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.pgp.d/x.gpg] http://x.example/debian trixie main\n';
  assert.is(
    await debians({ 'etc/apt/sources.list': named, 'usr/share/keyrings/debian-archive-keyring.pgp.d/x.gpg': 'keys' }),
    false,
  );
});

test('mirrors stand in for Debian’s own archives only', async () => {
  const { archives } = await factsOf({});
  const uris = (mirror: string | undefined, host: { uri: string; release: string }[]) =>
    locateImageArchives(archives, mirror, host).map(({ uri }) => uri);
  const raspi = 'http://r.example/debian/';
  const given = uris('http://m.example/debian', []);
  assert.equal(given, ['http://m.example/debian', 'http://m.example/debian-security', raspi]);
  const host = [{ uri: 'http://h.example/debian', release: 'bookworm' }];
  assert.equal(uris(undefined, host), ['http://h.example/debian', 'http://d.example/debian-security/', raspi]);
});

test('images that cannot be a base are refused by name', async () => {
  const status = system['var/lib/dpkg/status'] ?? '';
  const armhf = await refusal({ 'var/lib/dpkg/status': status.replaceAll('arm64', 'armhf') });
  assert.match(armhf.message, 'it.img cannot be a base: its system is for armhf');
  assert.match(armhf.hint ?? '', '`piimg inspect` and `piimg customize` work');
  const bookworm = await refusal({ 'etc/os-release': 'VERSION_CODENAME=bookworm\n' });
  assert.match(bookworm.message, 'it is of bookworm, and the tools that make an image are those of trixie');
  assert.match((await refusal({ 'etc/os-release': '' })).message, 'names no VERSION_CODENAME');
  assert.match((await refusal({ 'var/lib/dpkg/status': '' })).message, 'no Debian system');
  const unsigned = await refusal({
    'etc/apt/sources.list': 'deb https://e.example/x ./\n',
    'etc/apt/trusted.gpg.d/raspi.asc': '',
  });
  assert.match(unsigned.message, '/etc/apt/sources.list names https://e.example/x, and no key');
});

test('apt’s two ways to write sources', () => {
  const lines = `deb [arch=armhf] http://a.example x main
deb-src http://a.example x main
deb [arch=arm64,armhf signed-by=/k.gpg] http://b.example x main contrib
deb cdrom:[Debian] trixie main
deb http://c.example ./`;
  const none: string[] = [];
  assert.equal(sourcesIn('a.list', lines), [
    { uri: 'http://b.example', suites: ['x'], components: ['main', 'contrib'], signedBy: ['/k.gpg'] },
    { uri: 'http://c.example', suites: ['./'], components: none, signedBy: none },
  ]);
  const stanzas = `# theirs
Types: deb deb-src
URIs: http://a.example
 http://b.example
Suites: x
Components: main
Signed-By:
${ARMOR.trimEnd().replaceAll(/^$/gm, '.').replaceAll(/^/gm, ' ')}

Types: deb
Enabled: no
URIs: http://c.example
Suites: x

Types: deb
Architectures: amd64
URIs: http://d.example
Suites: x
`;
  const found = sourcesIn('a.sources', stanzas);
  assert.equal(
    found.map(({ uri }) => uri),
    ['http://a.example', 'http://b.example'],
  );
  const { signedBy } = found[0] ?? { signedBy: none };
  assert.is(binaryKeys(Buffer.from(Array.isArray(signedBy) ? '' : signedBy.key)).toString(), 'a key');
});

test('armor is decoded, several blocks in one file too; binary keys stay', () => {
  assert.is(binaryKeys(Buffer.from(ARMOR + ARMOR)).toString(), 'a keya key');
  const binary = Buffer.from([0x99, 0, 1, 255]);
  assert.equal(binaryKeys(binary), binary);
});

test.run();
