// The lock file: what is written is read back, and what is no lock is refused with the remedy.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readLock, writeLock } from '../../../src/base/lock.ts';
import { PiimgError } from '../../../src/lib/errors.ts';
import { smallLock } from '../../helpers/plan-inputs.ts';
import { withFolder } from '../cli/piimg.ts';

test('a lock is read as it was written, and nothing is left beside it', () =>
  withFolder(async (folder) => {
    const file = path.join(folder, 'web.lock.json');
    await writeFile(file, 'an old one');
    await writeLock(file, smallLock());
    assert.equal(await readLock(file), smallLock());
    assert.equal(await readdir(folder), ['web.lock.json']);
    // One line for each field: what changes is seen in version control.
    assert.ok((await readFile(file, 'utf8')).split('\n').length > 50);
  }));

test('no file is no lock', () =>
  withFolder(async (folder) => assert.is(await readLock(path.join(folder, 'none.json')), undefined)));

const damaged: Record<string, { text: string; says: RegExp }> = {
  'an empty file': { text: '', says: /web\.lock\.json is/ },
  'a lock that was cut': { text: JSON.stringify(smallLock()).slice(0, 500), says: /web\.lock\.json is/ },
  'marks of a merge': { text: `<<<<<<< HEAD\n${JSON.stringify(smallLock())}`, says: /web\.lock\.json is/ },
  'another version': { text: JSON.stringify({ ...smallLock(), version: 0 }), says: /not a lock file of this version/ },
  'a key that is not known': { text: JSON.stringify({ ...smallLock(), more: 1 }), says: /not a lock file of this/ },
  'a digest that is too short': {
    text: JSON.stringify({ ...smallLock(), rolePackages: [{ ...smallLock().rolePackages[0], sha256: 'abc' }] }),
    says: /not a lock file of this version/,
  },
};
for (const [what, { text, says }] of Object.entries(damaged)) {
  test(`refused, and left as it is: ${what}`, () =>
    withFolder(async (folder) => {
      const file = path.join(folder, 'web.lock.json');
      await writeFile(file, text);
      const error: unknown = await readLock(file).catch((caught: unknown) => caught);
      assert.instance(error, PiimgError);
      const { message, hint, detail } = error as PiimgError;
      assert.match(message, says);
      assert.match(hint ?? '', /version control, or delete it/);
      if (what.startsWith('a digest')) assert.match(detail ?? '', 'rolePackages.0.sha256');
      assert.is(await readFile(file, 'utf8'), text);
    }));
}

test.run();
