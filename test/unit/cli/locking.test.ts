// Which lock belongs to a build, and when it fits.
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { writeLock, type Lock } from '../../../src/base/lock.ts';
import { lockFileOf, obtainLock, requestDigests } from '../../../src/cli/locking.ts';
import { HOST_ARCHITECTURE } from '../../../src/sandbox/shadow.ts';
import { packageRoot } from '../../../src/host/package-root.ts';
import { PiimgError } from '../../../src/lib/errors.ts';
import type { ResolvedRole } from '../../../src/role/resolved.ts';
import { lockedPackage, smallBase, smallLock, smallRole, source } from '../../helpers/plan-inputs.ts';
import { withFolder } from './piimg.ts';

const from = (file: string): ResolvedRole => ({ ...smallRole(), sources: [{ ...source('x'), path: file }] });

test("beside a user's role; beside the image of one that comes with piimg", () => {
  assert.is(lockFileOf(from('/home/user/shop.yaml'), '/home/user/out/web.img'), '/home/user/shop.lock.json');
  assert.is(lockFileOf(from('/home/user/shop.yml'), '/elsewhere/x.img'), '/home/user/shop.lock.json');
  const builtIn = path.join(packageRoot, 'images/roles/web.yaml');
  assert.is(lockFileOf(from(builtIn), '/home/user/out/card.img'), '/home/user/out/web.lock.json');
  assert.is(lockFileOf(from(`${packageRoot}-mine/web.yaml`), '/out/x.img'), `${packageRoot}-mine/web.lock.json`);
});

const requests: [what: string, role: Partial<ResolvedRole>, same: boolean][] = [
  ['a file', { files: [] }, true],
  ['a user', { users: [] }, true],
  ['where a .deb lies', { debs: [source('deb', '/elsewhere')] }, true],
  ['a package', { packages: [{ name: 'vim' }] }, false],
  ['a version of one', { packages: [{ name: 'nginx', version: '1.0' }] }, false],
  ['a package to remove', { removePackages: [] }, false],
  ['the content of a .deb', { debs: [source('another')] }, false],
];
for (const [what, role, same] of requests) {
  test(`${what} ${same ? 'does not ask' : 'asks'} for other packages`, () => {
    const [before, after] = [{}, role].map((changes) => requestDigests({ ...smallRole(), ...changes }, smallBase()));
    assert.is(before?.role === after?.role, same);
    assert.is(before?.base, after?.base);
  });
}

/** A lock that fits `smallRole` and `smallBase`. */
function fittingLock(): Lock {
  const { npm, ...lock } = smallLock();
  return {
    ...lock,
    request: requestDigests(smallRole(), smallBase()),
    tools: { [HOST_ARCHITECTURE]: [lockedPackage('tar')] },
    npm: npm.map(({ destination }) => ({ destination, lockfile: '' })),
  };
}

/** What `obtainLock --locked` makes of a lock. */
async function obtained(lock: Lock | string | undefined, role = smallRole()): Promise<Lock | PiimgError> {
  return withFolder(async (folder) => {
    const file = path.join(folder, 'web.lock.json');
    if (typeof lock === 'string') await writeFile(file, lock);
    else if (lock) await writeLock(file, lock);
    const signal = new AbortController().signal;
    const request = { role, base: smallBase(), cacheDir: folder, mirror: undefined, offline: true, signal };
    const step = { update: () => {}, note: () => {}, cached: () => {}, failed: () => {} };
    return obtainLock(file, request, { locked: true, keep: false }, step).catch(
      (error: unknown) => error as PiimgError,
    );
  });
}

test('a lock that fits is used as it is', async () => {
  assert.equal(await obtained(fittingLock()), fittingLock());
  assert.equal(await obtained(fittingLock(), { ...smallRole(), files: [] }), fittingLock());
});

const misfits: Record<string, Parameters<typeof obtained>> = {
  'there is none': [undefined],
  'the role asks for more': [fittingLock(), { ...smallRole(), packages: [{ name: 'vim' }] }],
  'it is of another base': [{ ...fittingLock(), base: 'other' }],
  'the base has changed': [{ ...fittingLock(), request: { ...fittingLock().request, base: 'x' } }],
  'it has no tools for this machine': [{ ...fittingLock(), tools: {} }],
  'it is damaged': ['{"version":1'],
};
for (const [what, [lock, role]] of Object.entries(misfits)) {
  test(`--locked fails when ${what}, and says what to do`, async () => {
    const error = await obtained(lock, role);
    assert.instance(error, PiimgError);
    assert.match((error as PiimgError).message, 'web.lock.json');
    assert.ok((error as PiimgError).hint);
  });
}

test.run();
