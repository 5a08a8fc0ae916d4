// What is made of apt's answers. The texts are apt 3.0's own, with the archive's address replaced.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { resolvePackages } from '../../../src/base/resolve.ts';
import type { Apt, AptArchive } from '../../../src/host/apt.ts';
import { PiimgError } from '../../../src/lib/errors.ts';

const archive = (name: string, uri: string): AptArchive => ({ name, uri, suites: [], components: [], keyring: '' });
const ARCHIVES = [
  archive('debian', 'http://deb.example.org/debian'),
  archive('debian-security', 'http://deb.example.org/debian-security/'),
];
const digest = (letter: string) => letter.repeat(64);

const SIMULATED = `Reading package lists...
Building dependency tree...
The following additional packages will be installed:
  libacl1 vim-common
0 upgraded, 3 newly installed, 0 to remove and 0 not upgraded.
Inst libc6 (2.41-12+deb13u4 Debian:13.7/stable [arm64]) []
Inst vim-common (2:9.1.1230-2+deb13u2 Debian-Security:13/stable-security [all])
Conf vim-common (2:9.1.1230-2+deb13u2 Debian-Security:13/stable-security [all])
Inst libacl1 [2.3.2-1] (2.3.2-2+b1 Debian:13.7/stable [arm64])
Inst greeter (1.0 local-deb [arm64])
Remv nano [8.4-1]
Purg joe [4.6-3]
Conf libacl1 (2.3.2-2+b1 Debian:13.7/stable [arm64])`;

const URIS = `Reading package lists...
Need to get 4620 kB of archives.
'http://deb.example.org/debian/pool/main/g/glibc/libc6_2.41-12%2bdeb13u4_arm64.deb' libc6_2.41-12+deb13u4_arm64.deb 2483572 SHA256:${digest('a')}
'http://deb.example.org/debian-security/pool/updates/main/v/vim/vim-common_9.1.1230-2%2bdeb13u2_all.deb' vim-common_2%3a9.1.1230-2+deb13u2_all.deb 421100 SHA256:${digest('b')}
'http://deb.example.org/debian/pool/main/a/acl/libacl1_2.3.2-2%2bb1_arm64.deb' libacl1_2.3.2-2+b1_arm64.deb 32216 SHA256:${digest('c')}`;

/** An apt that prints what a table says, by the words of the command; texts that begin with `E:` make it fail, as `run` does. */
function fakeApt(answers: Record<string, string>): Apt & { asked: string[] } {
  const asked: string[] = [];
  const answer = async (command: string[]) => {
    const words = command.join(' ');
    asked.push(words);
    const [, stdout = ''] = Object.entries(answers).find(([key]) => words.includes(key)) ?? [];
    if (/^E:/m.test(stdout)) throw new PiimgError('Command failed with status 100: apt-get', { detail: stdout });
    return { stdout, stderr: '', exitCode: 0 };
  };
  return Object.assign(answer, { asked });
}

const rejection = (work: Promise<unknown>): Promise<PiimgError> =>
  work.then(
    () => assert.unreachable('it was resolved'),
    (error: unknown) => error as PiimgError,
  ) as Promise<PiimgError>;

test('a name that apt would take for a pattern is asked for first', async () => {
  const apt = fakeApt({
    '--all-names g++': 'g++\ng++-14',
    '--all-names nginx.': 'nginx.',
    pkgnames: 'nginx',
    ' -s ': '',
  });
  await resolvePackages(apt, ['g++', 'nginx', 'nano-', './a.b.deb', '?essential', 'vim=2:9.1+x'], ARCHIVES);
  assert.equal(
    apt.asked.filter((words) => words.includes('pkgnames')),
    ['apt-cache pkgnames --all-names g++'],
  );
  const unknown = fakeApt({ '--all-names nginx.': 'nginx.so', pkgnames: 'nginx' });
  for (const word of ['nginx.', 'nginx.=1.0', 'nginx.-']) {
    const error = await rejection(resolvePackages(unknown, [word], ARCHIVES));
    assert.equal([error.message, error.hint], ['No archive has a package “nginx.”', 'Did you mean nginx?']);
  }
});

test('packages come in the order of unpacking, with epoch, rebuild number and the archive they are of', async () => {
  const apt = fakeApt({ ' -s ': SIMULATED, '--print-uris': URIS });
  const { packages, removed } = await resolvePackages(apt, ['vim-common', './greeter.deb', 'nano-'], ARCHIVES);
  const pool = 'pool/main';
  assert.equal(packages, [
    {
      name: 'libc6',
      version: '2.41-12+deb13u4',
      architecture: 'arm64',
      sha256: digest('a'),
      size: 2_483_572,
      filename: `${pool}/g/glibc/libc6_2.41-12+deb13u4_arm64.deb`,
      source: 'debian',
    },
    {
      name: 'vim-common',
      version: '2:9.1.1230-2+deb13u2',
      architecture: 'all',
      sha256: digest('b'),
      size: 421_100,
      filename: 'pool/updates/main/v/vim/vim-common_9.1.1230-2+deb13u2_all.deb',
      source: 'debian-security',
    },
    {
      name: 'libacl1',
      version: '2.3.2-2+b1',
      architecture: 'arm64',
      sha256: digest('c'),
      size: 32_216,
      filename: `${pool}/a/acl/libacl1_2.3.2-2+b1_arm64.deb`,
      source: 'debian',
    },
  ]);
  assert.equal(removed, ['nano', 'joe']);
});

test('apt is asked not to remove anything, unless the request itself does', async () => {
  const asks = async (request: string[]) => {
    const apt = fakeApt({ ' -s ': '', '--print-uris': '' });
    await resolvePackages(apt, request, ARCHIVES);
    return apt.asked;
  };
  assert.equal(await asks(['vim']), [
    'apt-get -q -s install --no-remove vim',
    'apt-get -q --print-uris install --no-remove vim',
  ]);
  assert.equal(await asks(['vim', 'nano-']), [
    'apt-get -q -s install vim nano-',
    'apt-get -q --print-uris install vim nano-',
  ]);
  assert.equal(await asks([]), []);
});

test('a package without a file, and one of a strange archive, are refused by name', async () => {
  const nowhere = await rejection(resolvePackages(fakeApt({ ' -s ': SIMULATED, '--print-uris': '' }), ['x'], ARCHIVES));
  assert.match(nowhere.message, 'apt names libc6 2.41-12+deb13u4, but no archive gives a file');
  const apt = fakeApt({ ' -s ': SIMULATED, '--print-uris': URIS });
  const strange = await rejection(resolvePackages(apt, ['x'], ARCHIVES.slice(1)));
  assert.match(strange.message, 'libc6_2.41-12%2bdeb13u4_arm64.deb belongs to none of the archives');
});

test('an archive is not taken for another whose address it begins', async () => {
  const apt = fakeApt({ ' -s ': SIMULATED, '--print-uris': URIS });
  const { packages } = await resolvePackages(apt, ['x'], ARCHIVES.toReversed());
  assert.equal(
    packages.map(({ source }) => source),
    ['debian', 'debian-security', 'debian'],
  );
});

test('packages that do not exist are all named, with the nearest names', async () => {
  const apt = fakeApt({
    ' -s ': 'Reading package lists...\nE: Unable to locate package ngnix\nE: Unable to locate package qqqqqqqq',
    pkgnames: 'nginx\nnginx-full\nhtop',
  });
  const error = await rejection(resolvePackages(apt, ['ngnix', 'qqqqqqqq'], ARCHIVES));
  assert.is(error.message, 'No archive has a package “ngnix”, “qqqqqqqq”');
  assert.is(error.hint, 'Did you mean nginx?');
});

test('a version that does not exist is named with those that do', async () => {
  const apt = fakeApt({
    ' -s ': "Package dash is not available\nE: Version '9' for 'dash' was not found",
    madison: '      dash |  0.5.12-12 | http://deb.example.org/debian trixie/main arm64 Packages',
  });
  const error = await rejection(resolvePackages(apt, ['dash=9'], ARCHIVES));
  assert.is(error.message, 'Package dash has no version 9 in the archive');
  assert.is(error.hint, 'It has: 0.5.12-12');
});

test('a virtual package is called one, with all that provide it', async () => {
  const apt = fakeApt({
    // What `run` keeps of it: the last lines.
    ' -s ':
      "  dma 0.13-1+b1\n  courier-mta 1.0.16-3+b6\n\nE: Package 'mail-transport-agent' has no installation candidate",
    showpkg: `Package: mail-transport-agent
Versions: 

Reverse Depends: 
  alpine,mail-transport-agent
Dependencies: 
Provides: 
Reverse Provides: 
postfix 3.10.5-1+deb13u1 (= )
dma 0.14-1 (= )
`,
  });
  const error = await rejection(resolvePackages(apt, ['mail-transport-agent'], ARCHIVES));
  assert.is(error.message, '“mail-transport-agent” is a virtual package');
  assert.is(error.detail, 'mail-transport-agent is provided by dma, postfix');
  assert.match(error.hint ?? '', 'in its place');
});

test('a name that only dependencies know is none that an archive has', async () => {
  const apt = fakeApt({
    ' -s ': "E: Package 'ngnix' has no installation candidate",
    showpkg: 'Package: ngnix\nVersions: \n\nReverse Depends: \n  x,ngnix\nReverse Provides: \n',
    pkgnames: 'nginx',
  });
  const error = await rejection(resolvePackages(apt, ['ngnix'], ARCHIVES));
  assert.is(error.message, 'No archive has a package “ngnix”');
  assert.is(error.hint, 'Did you mean nginx?');
});

test('a conflict is told in the words of apt, without its progress', async () => {
  const apt = fakeApt({
    ' -s ': `Reading package lists...
Building dependency tree...
The following packages have unmet dependencies:
 postfix : Conflicts: mail-transport-agent
E: Unable to correct problems, you have held broken packages.`,
  });
  const error = await rejection(resolvePackages(apt, ['exim4', 'postfix'], ARCHIVES));
  assert.is(error.message, 'apt cannot install these packages together');
  assert.match(error.detail ?? '', /^The following packages.*\n postfix : Conflicts/);
});

test('what is no failure of apt is not explained away', async () => {
  const apt = (() => Promise.reject(new TypeError('bug'))) as unknown as Apt;
  assert.instance(await rejection(resolvePackages(apt, ['x'], ARCHIVES)), TypeError);
});

test.run();
