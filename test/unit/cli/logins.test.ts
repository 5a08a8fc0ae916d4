// Whether a card lets anybody in, and the keys of whoever flashes it.
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { searchPaths } from '../../../src/cli/context.ts';
import { loginOf } from '../../../src/cli/logins.ts';
import { findPublicKeys } from '../../../src/cli/ssh-keys.ts';
import { run } from '../../../src/host/exec.ts';
import { minimalSeed } from '../../../src/seed/minimal.ts';
import { keyLine } from '../../helpers/ssh-keys.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

/** A project with one role of its own. */
async function searchWith(role: string): Promise<ReturnType<typeof searchPaths>> {
  const folder = temporaryFolder();
  await mkdir(join(folder, 'images/roles'), { recursive: true });
  await writeFile(join(folder, 'images/roles/mine.yaml'), role);
  return searchPaths(folder);
}
const header = { role: 'mine' };
const role = (users: object[]): string => JSON.stringify({ version: 1, summary: 'Mine', extends: 'base', users });
const keys = [keyLine()];

test('an image that says whom its role lets in is believed, whatever lies here', async () => {
  const search = await searchWith(role([{ name: 'ann', keys }]));
  assert.equal(await loginOf({ header: { ...header, logins: [] } }, search), { role: [], seed: [], evidence: 'image' });
  const { role: users } = await loginOf({ header: { ...header, logins: ['eve'] } }, search);
  assert.equal(users, ['eve']);
});

test('else the role of that name is asked: users with a key and a shell', async () => {
  const users = [
    { name: 'ann', keys },
    { name: 'bob' },
    { name: 'svc', system: true, home: '/var/lib/svc', keys },
    { name: 'key', system: true, home: '/var/lib/key', shell: '/bin/sh', keys },
  ];
  const found = await loginOf({ header }, await searchWith(role(users)));
  assert.equal(found, { role: ['ann', 'key'], seed: [], evidence: 'role' });
  const web = await loginOf({ header: { role: 'web' } }, searchPaths(temporaryFolder()));
  assert.equal(web, { role: [], seed: [], evidence: 'role' }, 'the role that comes with piimg lets nobody in');
});

for (const [what, text] of Object.entries({ 'is not valid': 'version: 1\n', 'is of another name': role([]) })) {
  test(`a role that ${what} is no evidence`, async () => {
    const search = await searchWith(text);
    const name = what === 'is not valid' ? 'mine' : 'other';
    assert.is((await loginOf({ header: { role: name } }, search)).evidence, 'nothing');
  });
}

test('an image cannot have any file of this computer read as its role', async () => {
  const search = await searchWith(role([{ name: 'ann', keys }]));
  const [dir = ''] = search.roleDirs;
  for (const name of [join(dir, 'mine.yaml'), '../roles/mine', 'mine.yaml'])
    assert.is((await loginOf({ header: { role: name } }, search)).evidence, 'nothing', name);
  assert.is((await loginOf({ header }, search)).evidence, 'role', 'negative control');
});

test('the seed an image is built with lets nobody in; one with a key or a password does', async () => {
  const search = searchPaths(temporaryFolder());
  const seedOf = async (userData: string) => (await loginOf({ header: { role: 'web' }, userData }, search)).seed;
  const built = minimalSeed('c0ffee11'.repeat(8)).find(({ name }) => name === 'user-data');
  assert.equal(await seedOf(built?.content.toString() ?? ''), []);
  const users = [{ name: 'ann', ssh_authorized_keys: keys }, { name: 'bob', hashed_passwd: '$6$x' }, { name: 'eve' }];
  assert.equal(await seedOf(`#cloud-config\n${JSON.stringify({ users })}`), ['ann', 'bob']);
  assert.equal(await seedOf('not: [yaml'), []);
});

test('keys are those of .ssh/*.pub, and no more', async () => {
  const home = temporaryFolder();
  const ssh = join(home, '.ssh');
  assert.equal(await findPublicKeys(home), []);
  await mkdir(ssh);
  await writeFile(join(ssh, 'id_ed25519.pub'), `${keyLine('me@laptop')}\n`);
  await writeFile(
    join(ssh, 'a.pub'),
    `# two\r\n${keyLine('one', 'ssh-ed25519', 'a')}\r\n${keyLine('', 'ssh-ed25519', 'b')}\n`,
  );
  await writeFile(join(ssh, 'authorized_keys'), keyLine('other'));
  await writeFile(join(ssh, 'private.pub'), '-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n');
  await writeFile(join(ssh, 'cut.pub'), `${keyLine().slice(0, 50)}\n`);
  await writeFile(join(ssh, 'large.pub'), `${keyLine()}\n`.repeat(2000));
  await mkdir(join(ssh, 'folder.pub'));
  await symlink('nowhere', join(ssh, 'link.pub'));
  await symlink('authorized_keys', join(ssh, 'linked.pub'));
  await run(['mkfifo', join(ssh, 'pipe.pub')]);
  assert.equal(await findPublicKeys(home), [
    { file: join(ssh, 'a.pub'), line: keyLine('one', 'ssh-ed25519', 'a'), comment: 'one' },
    { file: join(ssh, 'a.pub'), line: keyLine('', 'ssh-ed25519', 'b'), comment: '' },
    { file: join(ssh, 'id_ed25519.pub'), line: keyLine('me@laptop'), comment: 'me@laptop' },
    { file: join(ssh, 'linked.pub'), line: keyLine('other'), comment: 'other' },
  ]);
});

test.run();
