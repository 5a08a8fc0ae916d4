// The image of a base: found in a list on loopback, downloaded, gone on with, verified, and then had offline.
import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ImageBase } from '../../../src/base/definition.ts';
import type { LockRequest } from '../../../src/cli/apt-world.ts';
import { chosenBase } from '../../../src/cli/base-choice.ts';
import { ensureImageLayer, publicAddress } from '../../../src/cli/base-image.ts';
import { searchPaths } from '../../../src/cli/context.ts';
import { hasThatImage, readImageOf, type ReadImage } from '../../../src/cli/lock-image.ts';
import { run } from '../../../src/host/exec.ts';
import { digestOfFile } from '../../../src/lib/digest.ts';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';
import { withServer, type Server } from '../../helpers/bad-luck-archive.ts';
import { smallBase, smallRole } from '../../helpers/plan-inputs.ts';
import { tinyImage } from '../../helpers/tiny-image.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const notes: string[] = [];
const step = { update() {}, note: (text: string) => void notes.push(text), cached() {}, failed() {} };
const { signal } = new AbortController();

const site = temporaryFolder();
const raw = await tinyImage({
  'home/pi/noise': Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))).toString('hex'),
});
const sha256 = await digestOfFile(raw);
await mkdir(path.join(site, 'images'));
await run(['sh', '-euc', 'xz -0 -c "$1" >"$2"', 'sh', raw, path.join(site, 'images/tiny.img.xz')]);
const packedSha256 = await digestOfFile(path.join(site, 'images/tiny.img.xz'));

const entry = {
  name: 'Tiny (64-bit)',
  url: 'images/tiny.img.xz',
  extract_size: (await stat(raw)).size,
  extract_sha256: sha256,
  image_download_size: (await stat(path.join(site, 'images/tiny.img.xz'))).size,
  image_download_sha256: packedSha256,
  release_date: '2026-06-18',
  devices: [],
};

/** Writes the list of the site, with `changes` to its entry. */
async function publish(changes: Record<string, unknown> = {}): Promise<void> {
  const nested = { name: 'Tiny systems', subitems: [{ ...entry, ...changes }] };
  await writeFile(path.join(site, 'list.json'), JSON.stringify({ os_list: [nested] }));
}

const { archives: _, keyring: __, ...common } = smallBase();
const base: ImageBase = {
  ...common,
  kind: 'image',
  image: { list: 'https://example.org/no.json', names: [entry.name] },
};

const requestOf = (osList: string, more: Partial<LockRequest> = {}): LockRequest => ({
  role: smallRole(),
  base,
  cacheDir: temporaryFolder(),
  mirror: undefined,
  offline: false,
  signal,
  choice: { osList },
  ...more,
});

const withSite = <T>(work: (server: Server) => Promise<T>): Promise<T> =>
  withServer({ dir: site, keyring: '', gnupg: '' }, work);

async function read(request: LockRequest): Promise<ReadImage> {
  const image = await readImageOf(base, request, step, undefined);
  assert.ok(image);
  return image;
}

async function refusal(work: Promise<unknown>): Promise<PiimgError> {
  const error: unknown = await work.catch((caught: unknown) => caught);
  assert.instance(error, PiimgError);
  return error as PiimgError;
}

const hits = ({ requests }: Server): number => requests.filter(({ path: name }) => name.endsWith('.xz')).length;

test('from the list into the lock; a second time nothing is downloaded, offline nothing is asked for', () =>
  withSite(async (server) => {
    await publish();
    const request = requestOf(`${server.url}/list.json`);
    const { locked, record } = await read(request);
    assert.equal(locked, {
      name: 'Tiny (64-bit)',
      sha256,
      size: entry.extract_size,
      packed: { sha256: packedSha256, size: entry.image_download_size },
      url: `${server.url}/images/tiny.img.xz`,
      released: '2026-06-18',
      suite: 'trixie',
      packages: { 'base-files': '13.8', dpkg: '1.22.21' },
    });
    assert.is(record.archives.length, 1);
    const before = hits(server);
    assert.equal((await read(request)).locked, locked);
    assert.is(hits(server), before);
    // Of a lock, all is there.
    server.misbehave(() => {
      throw new Error('asked for something');
    });
    await ensureImageLayer(locked, base, { ...request, offline: true }, { step, signal });
    // Without its layer, from the store.
    await rm(path.join(request.cacheDir, 'layers'), { recursive: true });
    await ensureImageLayer(locked, base, { ...request, offline: true }, { step, signal });
    assert.is((await readdir(path.join(request.cacheDir, 'layers'))).length, 1);
    await rm(path.join(request.cacheDir, 'layers'), { recursive: true });
    await rm(path.join(request.cacheDir, 'store'), { recursive: true });
    const gone = await refusal(ensureImageLayer(locked, base, { ...request, offline: true }, { step, signal }));
    assert.match(gone.message, 'Offline, and the image Tiny (64-bit) is not in the cache');
    assert.match(gone.hint ?? '', 'Build once without --offline, or give the image itself: --base FILE.');
    server.misbehave(undefined);
  }));

for (const [what, changes] of [
  ['with a digest of the packed file', {}],
  ['without one', { image_download_sha256: undefined, image_download_size: undefined }],
] as const) {
  test(`a transfer that was cut goes on where it was: ${what}`, () =>
    withSite(async (server) => {
      await publish(changes);
      const request = requestOf(`${server.url}/list.json`);
      server.misbehave(({ url, headers }, response, body) => {
        if (!url?.endsWith('.xz')) return false;
        const from = Number(/bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0);
        if (from > 0) return (response.writeHead(503).end(), true);
        response.writeHead(200, {
          'content-length': body.length,
          'accept-ranges': 'bytes',
          'last-modified': 'Sat, 01 Mar 2025 00:00:00 GMT',
        });
        response.write(body.subarray(0, body.length >> 1), () => setTimeout(() => response.destroy(), 50));
        return true;
      });
      const cut = await refusal(read(request));
      assert.match(cut.message, 'Tiny (64-bit) could not be downloaded');
      server.misbehave(undefined);
      server.requests.length = 0;
      const { locked } = await read(request);
      assert.equal(locked.packed, { sha256: packedSha256, size: entry.image_download_size });
      const ranges = server.requests.filter(({ path: name }) => name.endsWith('.xz')).map(({ range }) => range);
      assert.match(ranges[0] ?? '', /^bytes=[1-9]\d*-$/);
      await rm(path.join(request.cacheDir, 'layers'), { recursive: true });
      await ensureImageLayer(locked, base, { ...request, offline: true }, { step, signal });
    }));
}

test('what is not the image that the list says is refused, and not kept for one', () =>
  withSite(async (server) => {
    for (const changes of [{}, { image_download_sha256: undefined }]) {
      await publish({ ...changes, extract_sha256: 'a'.repeat(64) });
      const request = requestOf(`${server.url}/list.json`);
      const error = await refusal(read(request));
      assert.match(error.message, `Tiny (64-bit) is not the image it should be`);
      assert.match(error.message, sha256);
      assert.equal(await readdir(path.join(request.cacheDir, 'layers')).catch(() => []), []);
      await publish(changes);
      assert.is((await read(request)).locked.sha256, sha256);
    }
    await publish({ image_download_sha256: 'b'.repeat(64) });
    const packed = await refusal(read(requestOf(`${server.url}/list.json`)));
    assert.match(packed.detail ?? '', 'Hash Sum mismatch');
  }));

test('a list and images of this machine need no network, and leave no path in the lock', async () => {
  await publish();
  const request = requestOf(path.join(site, 'list.json'), { offline: true });
  const { locked } = await read(request);
  assert.is(locked.sha256, sha256);
  assert.not.match(JSON.stringify(locked), site);
  const offline = await refusal(read(requestOf('https://example.org/list.json', { offline: true })));
  assert.match(offline.message, 'Offline, and no lock says which image small is');
});

test('a digest pins, packed or not; another one is refused, and a lock does not fit it', async () => {
  await publish();
  const osList = path.join(site, 'list.json');
  for (const pin of [sha256, packedSha256]) {
    const { locked } = await read(requestOf(osList, { choice: { osList, pin } }));
    assert.is(locked.sha256, sha256);
  }
  const pin = 'c'.repeat(64);
  const other = requestOf(osList, { choice: { osList, pin } });
  assert.is((await refusal(read(other))).exitCode, EXIT.usage);
  const { locked } = await read(requestOf(osList));
  assert.is(hasThatImage({ image: locked }, requestOf(osList)), true);
  assert.is(hasThatImage({ image: locked }, other), false);
});

test('a pin may be the digest of a packed file that the list does not say: its bytes are compared', () =>
  withSite(async (server) => {
    await publish({ image_download_sha256: undefined });
    for (const osList of [path.join(site, 'list.json'), `${server.url}/list.json`]) {
      const { locked } = await read(requestOf(osList, { choice: { osList, pin: packedSha256 } }));
      assert.equal([locked.sha256, locked.packed?.sha256], [sha256, osList.startsWith('/') ? undefined : packedSha256]);
      await refusal(read(requestOf(osList, { choice: { osList, pin: 'c'.repeat(64) } })));
    }
  }));

test('the file of an image is a base named after it, looked at once', async () => {
  const cacheDir = temporaryFolder();
  const titles: string[] = [];
  const progress = {
    step: <T>(title: string, work: (one: typeof step) => Promise<T>): Promise<T> => (titles.push(title), work(step)),
  };
  const search = searchPaths(temporaryFolder());
  const context = { search, cacheDir, progress, stages: [], signal };
  const file = path.join(temporaryFolder(), 'my image.img.xz');
  await copyFile(path.join(site, 'images/tiny.img.xz'), file);
  const { bases, choice } = await chosenBase({ base: file, baseSha256: packedSha256 }, context);
  assert.is(bases.name, `image-${sha256.slice(0, 12)}`);
  const own = await bases.load(bases.name ?? '', search.baseDirs);
  assert.equal([own.kind, own.name, own.summary, own.packages], ['image', bases.name, 'my image.img.xz', ['nodejs']]);
  const request = requestOf('', { cacheDir, choice, base: own });
  const { locked } = (await readImageOf(own, request, step, undefined)) ?? {};
  assert.equal([locked?.sha256, locked?.name, locked?.url], [sha256, 'my image.img.xz', undefined]);
  await chosenBase({ base: file }, context);
  assert.is(titles.length, 1);
  await writeFile(file, await readFile(raw));
  await chosenBase({ base: file }, context);
  assert.is(titles.length, 2);
  // Whether its lock fits or not, and whether it was looked at before or not: a wrong pin is a wrong image.
  const baseSha256 = 'd'.repeat(64);
  assert.is((await refusal(chosenBase({ base: file, baseSha256 }, context))).exitCode, EXIT.refused);
  const broken = path.join(temporaryFolder(), 'broken.img');
  await writeFile(broken, Buffer.alloc(4096, 'no image'));
  const unread = await refusal(chosenBase({ base: broken, baseSha256 }, context));
  assert.match(unread.message, 'is not the image of the sha256 dddd');
  assert.match((await refusal(chosenBase({ base: './no.img' }, context))).message, 'There is no');
});

test('an address is kept without what is nobody else’s business', () => {
  assert.is(publicAddress('https://me:secret@example.org/a/b.img.xz?token=1#x'), 'https://example.org/a/b.img.xz');
  assert.is(publicAddress('/home/user/b.img.xz'), undefined);
});

test.run();
