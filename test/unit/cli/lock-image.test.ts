// When a lock fits a base that is an image.
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ImageBase } from '../../../src/base/definition.ts';
import { readLock, writeLock, type Lock, type LockedImage } from '../../../src/base/lock.ts';
import type { ImageChoice } from '../../../src/cli/base-image.ts';
import { debianArchives } from '../../../src/cli/lock-image.ts';
import type { AptArchive } from '../../../src/host/apt.ts';
import { clockFile } from '../../../src/cli/lock-clock.ts';
import { obtainLock, requestDigests } from '../../../src/cli/locking.ts';
import { PiimgError } from '../../../src/lib/errors.ts';
import { sha256 } from '../../../src/lib/digest.ts';
import { HOST_ARCHITECTURE } from '../../../src/sandbox/shadow.ts';
import { lockedPackage, smallBase, smallLock, smallRole } from '../../helpers/plan-inputs.ts';
import { withFolder } from './piimg.ts';

const { archives: _, keyring: __, ...common } = smallBase();
const base: ImageBase = { ...common, kind: 'image', image: { list: 'https://example.org/l.json', names: ['Lite'] } };
const [image, packed] = [sha256('image'), sha256('packed')];

const lock: Lock = {
  ...smallLock(),
  request: requestDigests(smallRole(), base),
  tools: { [HOST_ARCHITECTURE]: [lockedPackage('tar')] },
  npm: smallLock().npm.map(({ destination }) => ({ destination, lockfile: '' })),
  image: {
    name: 'Lite',
    sha256: image,
    size: 4096,
    packed: { sha256: packed, size: 512 },
    url: 'https://example.org/lite.img.xz',
    released: '2026-06-18',
    suite: 'trixie',
    packages: { dpkg: '1.22' },
  },
};

/** What `obtainLock --locked`, offline, makes of a lock. */
const obtained = (of: Lock, choice: ImageChoice, changed: Partial<ImageBase> = {}): Promise<Lock | PiimgError> =>
  withFolder(async (folder) => {
    const file = path.join(folder, 'web.lock.json');
    await writeLock(file, of);
    assert.equal(await readLock(file), of);
    const { signal } = new AbortController();
    const request = { role: smallRole(), base: { ...base, ...changed }, cacheDir: folder, mirror: undefined, choice };
    const step = { update() {}, note() {}, cached() {}, failed() {} };
    const all = { ...request, offline: true, signal };
    return obtainLock(file, all, { locked: true, keep: false }, step).catch((error: unknown) => error as PiimgError);
  });

const file = (digest: string) => ({ path: '/srv/lite.img.xz', sha256: digest, size: 4096 });

const fits: [what: string, choice: ImageChoice][] = [
  ['nothing is said of the image', {}],
  ['its digest is pinned', { pin: image }],
  ['the digest of the packed file is pinned', { pin: packed }],
  ['it is given as a file', { file: file(image) }],
  ['another list is named', { osList: '/srv/list.json' }],
];
for (const [what, choice] of fits) {
  test(`a lock pins its image: no list is asked when ${what}`, async () => {
    assert.equal(await obtained(lock, choice), lock);
  });
}

const { image: ___, ...without } = lock;
const misfits: [what: string, of: Lock, choice: ImageChoice, changed?: Partial<ImageBase>][] = [
  ['another digest is pinned', lock, { pin: sha256('other') }],
  ['another file is given', lock, { file: file(sha256('other')) }],
  ['it says no image', without, {}],
  ['the base names another image', lock, {}, { image: { ...base.image, names: ['Full'] } }],
];
for (const [what, of, choice, changed] of misfits) {
  test(`--locked fails when ${what}`, async () => {
    const error = await obtained(of, choice, changed);
    assert.instance(error, PiimgError);
    assert.match((error as PiimgError).message, 'web.lock.json does not fit');
  });
}

test('native tools come from Debian’s own archives, by the keys of this machine', () => {
  const archive = (name: string, debians: boolean): AptArchive & { debians: boolean } => {
    const uri = `https://${name.slice(6)}.example/debian/`;
    return { name, uri, suites: ['trixie'], components: ['main'], keyring: '/cache/images/0.gpg', debians };
  };
  const archives = [archive('image:debian', true), archive('image:raspi', false)];
  assert.ok(lock.image);
  const record = { suite: 'trixie', packages: {}, statusFile: '', archives };
  const found = debianArchives(archives, { locked: lock.image, record });
  assert.equal(
    found.map(({ name, keyring }) => [name, keyring]),
    [['image:debian', '/usr/share/keyrings/debian-archive-keyring.gpg']],
  );
  assert.throws(
    () =>
      debianArchives(archives.slice(1), {
        locked: lock.image as LockedImage,
        record: { ...record, archives: archives.slice(1) },
      }),
    /none of its apt sources is Debian's own/,
  );
});

test('another image has another clock; the clock of a base without one is where it was', () => {
  const { essential, basePackages } = lock;
  const old = clockFile({ essential, basePackages }, '/cache');
  assert.is(path.basename(old), path.basename(clockFile({ essential, basePackages, image: undefined }, '/cache')));
  assert.is.not(old, clockFile(lock, '/cache'));
});

test.run();
