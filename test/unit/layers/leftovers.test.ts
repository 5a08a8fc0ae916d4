// What is cleared from every layer: only what the table names, and never anything outside of the root.
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../../src/host/exec.ts';
import { CLEAR_LEFTOVERS, LEFTOVERS } from '../../../src/layers/leftovers.ts';
import { withFolder } from '../cli/piimg.ts';

/** A shell pattern that stays below the folder the shell is in, and holds nothing the shell would take for more. */
const isSafe = (pattern: string) => /^[\w.*-]+(\/[\w.*-]+)*$/.test(pattern) && !/(^|\/)\.(\.|\*)?(\/|$)/.test(pattern);

test('no pattern is absolute, climbs, or is more than a pattern', () => {
  assert.ok(LEFTOVERS.length > 10);
  assert.equal(
    LEFTOVERS.filter((pattern) => !isSafe(pattern)),
    [],
  );
  // A folder of the root is never cleared as a whole.
  assert.equal(
    LEFTOVERS.filter((pattern) => /^[^/]*(\/\*)?$/.test(pattern)),
    [],
  );
});

const UNSAFE = ['/etc/passwd', '../x', 'a/../../x', 'var/..', '.', '', 'a b', '$HOME/x', 'a;b', '~/x', 'a//b', 'x/.*'];
for (const pattern of UNSAFE) test(`would be noticed: ${JSON.stringify(pattern)}`, () => assert.not(isSafe(pattern)));

test('clears leftovers and nothing beside them', () =>
  withFolder(async (folder) => {
    const root = path.join(folder, 'root');
    const goes = [
      'etc/passwd-',
      'etc/machine-id',
      'etc/ssh/ssh_host_ed25519_key',
      'var/log/dpkg.log',
      'var/log/apt/history.log',
      'var/lib/apt/lists/example_Packages',
      'var/lib/dpkg/status-old',
      'root/.npm/_cacache/x',
    ];
    const stays = [
      'etc/passwd',
      'etc/ssh/sshd_config',
      'var/log/journal/keep',
      'var/lib/dpkg/status',
      'var/lib/dpkg/triggers/File',
      'var/cache/apt/archives/partial/keep',
      'root/.bashrc',
    ];
    for (const file of [...goes, ...stays, '../outside.log']) {
      await mkdir(path.dirname(path.join(root, file)), { recursive: true });
      await writeFile(path.join(root, file), '');
    }
    await run(['sh', '-euc', `cd "$1"; ${CLEAR_LEFTOVERS}`, 'sh', root]);
    const left = (await readdir(root, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)));
    assert.equal(left.sort(), stays.sort());
    assert.ok((await readdir(folder)).includes('outside.log'));
    assert.ok((await readdir(path.join(root, 'var/lib/apt'))).includes('lists'));
  }));

test.run();
