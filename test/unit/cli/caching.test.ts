// The commands that look after the cache, on one made by hand.
import { mkdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { listCache, pruneCache, verifyCache } from '../../../src/cli/caching.ts';
import { createContext, type Context } from '../../../src/cli/context.ts';
import { digestOf } from '../../../src/lib/digest.ts';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';
import { handmadeDownload, handmadeLayer } from '../../helpers/cache.ts';
import { piimg, withFolder } from './piimg.ts';

interface Cache {
  context: Context;
  layer: string;
  download: string;
}

/** A cache of one layer and two downloads. */
async function withCache(work: (cache: Cache) => Promise<void>): Promise<void> {
  await withFolder(async (cacheDir) => {
    const { key } = await handmadeLayer(cacheDir, 'files', { 'etc-motd': 'Welcome\n', empty: '' });
    const download = await handmadeDownload(cacheDir, 'a package');
    await handmadeDownload(cacheDir, 'another package, longer');
    const context = { ...createContext(new AbortController().signal, 'silent'), cacheDir };
    await work({ context, layer: path.join(cacheDir, 'layers', key), download });
  });
}

async function flip(file: string, at: number): Promise<void> {
  const bytes = await readFile(file);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  await writeFile(file, bytes);
}

test('ls names every entry, the biggest first', () =>
  withCache(async ({ context, layer }) => {
    const entries = await listCache(context);
    const tar = (await stat(path.join(layer, 'layer.tar'))).size;
    assert.equal(
      entries.map(({ kind, title, size }) => [kind, title, size]),
      [
        ['layer', 'files', 2 * tar],
        ['download', '', 23],
        ['download', '', 9],
      ],
    );
    assert.ok(entries.every(({ used }) => Date.now() - Date.parse(used) < 60_000));
  }));

test('a cache that does not exist yet is empty', () =>
  withFolder(async (folder) => {
    const context = {
      ...createContext(new AbortController().signal, 'silent'),
      cacheDir: path.join(folder, 'none'),
    };
    assert.equal(await listCache(context), []);
    assert.equal(await verifyCache(context), { checked: 0, damaged: [] });
    assert.equal(await pruneCache(0, context), { removed: [], freed: 0 });
  }));

test('verify finds nothing wrong with what is whole', () =>
  withCache(async ({ context }) => {
    assert.equal(await verifyCache(context), { checked: 3, damaged: [] });
  }));

test('a layer whose files are missing is whole: the next build unpacks its archive', () =>
  withCache(async ({ context, layer }) => {
    await rm(path.join(layer, 'tree'), { recursive: true });
    assert.equal(await verifyCache(context), { checked: 3, damaged: [] });
  }));

test('kept file systems and npm packages are looked after as well', () =>
  withCache(async ({ context }) => {
    const stage = path.join(context.cacheDir, 'stages', 'key');
    await mkdir(stage, { recursive: true });
    await mkdir(path.join(context.cacheDir, 'npm/_cacache'), { recursive: true });
    await writeFile(path.join(context.cacheDir, 'npm/_cacache/a'), 'a package of npm');
    await writeFile(path.join(stage, 'stage.img'), 'blocks');
    const sums = { ranges: [{ offset: 1, length: 3 }], crc32: [crc32('loc').toString(16).padStart(8, '0')] };
    const index = { key: 'key', size: 6, ...sums };
    await writeFile(path.join(stage, 'stage.json'), JSON.stringify({ ...index, digest: digestOf(index) }));
    const kinds = (await listCache(context)).map(({ kind }) => kind);
    assert.equal([kinds.includes('npm'), kinds.includes('stage')], [true, true]);
    assert.equal(await verifyCache(context), { checked: 5, damaged: [] });
    await flip(path.join(stage, 'stage.img'), 2);
    assert.equal((await verifyCache(context)).damaged, [{ path: stage, reason: 'its checksums differ' }]);
    await rm(path.join(context.cacheDir, 'layers'), { recursive: true });
    await pruneCache(0, context);
    assert.equal(await listCache(context), []);
  }));

/** The kinds of all entries, sorted. */
const kindsIn = async (context: Context): Promise<string[]> =>
  (await listCache(context)).map(({ kind }) => kind).sort();

test('what apt has fetched and small notes are listed, and removed by their last use', () =>
  withCache(async ({ context }) => {
    await rm(path.join(context.cacheDir, 'layers'), { recursive: true });
    const old = new Date(Date.now() - 40 * 86_400_000);
    for (const file of ['apt/new/lock', 'apt/used/lock', 'apt/old/lock', 'bases/a', 'updates/b', 'boot-times/c']) {
      await mkdir(path.join(context.cacheDir, path.dirname(file)), { recursive: true });
      await writeFile(path.join(context.cacheDir, file), '');
    }
    // Fetched long ago, but used offline today.
    for (const name of ['apt/used', 'apt/old/lock', 'apt/old', 'bases/a'])
      await utimes(path.join(context.cacheDir, name), old, old);
    const all = ['boots', 'clock', 'download', 'download', 'lists', 'lists', 'lists', 'updates'];
    assert.equal(await kindsIn(context), all);
    assert.equal(await verifyCache(context), { checked: all.length, damaged: [] });
    const { removed } = await pruneCache(30, context);
    assert.equal(removed.map(({ kind, key }) => [kind, key]).sort(), [
      ['clock', 'a'],
      ['lists', 'old'],
    ]);
    await pruneCache(0, context);
    assert.equal(await listCache(context), []);
  }));

test('while a build is under way, what it may use stays, whatever the days', () =>
  withCache(async ({ context, download }) => {
    await rm(path.join(context.cacheDir, 'layers'), { recursive: true });
    const old = new Date(Date.now() - 2 * 86_400_000);
    await utimes(download, old, old);
    const work = path.join(context.cacheDir, 'tmp', `${process.pid}-build`);
    await mkdir(work, { recursive: true });
    const busy = await pruneCache(0, context);
    assert.equal(
      busy.removed.map(({ key }) => key),
      [path.basename(download)],
    );
    await rm(work, { recursive: true });
    // Of a process that was killed: no Linux has numbers as high.
    await mkdir(path.join(context.cacheDir, 'tmp', '99999999-build'));
    assert.is((await pruneCache(0, context)).removed.length, 1);
  }));

const damages: Record<string, { damage: (cache: Cache) => Promise<void>; reason: string }> = {
  'a flipped byte of a download': { damage: ({ download }) => flip(download, 4), reason: 'its sha256 differs' },
  'a flipped byte of a header': {
    damage: ({ layer }) => flip(path.join(layer, 'layer.tar'), 0),
    reason: 'its sha256 differs',
  },
  'a flipped byte of padding': {
    damage: ({ layer }) => flip(path.join(layer, 'layer.tar'), 1000),
    reason: 'its sha256 differs',
  },
  'an archive that is gone': { damage: ({ layer }) => rm(path.join(layer, 'layer.tar')), reason: 'it is gone' },
  'an index that was cut': {
    damage: ({ layer }) => writeFile(path.join(layer, 'layer.json'), '{"key":'),
    reason: 'its index cannot be read',
  },
};
for (const [what, { damage, reason }] of Object.entries(damages)) {
  test(`verify finds ${what}`, () =>
    withCache(async (cache) => {
      await damage(cache);
      const { checked, damaged } = await verifyCache(cache.context);
      assert.is(checked, 3);
      assert.is(damaged.length, 1);
      assert.match(damaged[0]?.reason ?? '', reason);
      assert.ok([cache.layer, cache.download].includes(damaged[0]?.path ?? ''));
    }));
}

test('prune removes downloads by age, and says what it freed', () =>
  withCache(async ({ context, layer, download }) => {
    const old = new Date(Date.now() - 40 * 86_400_000);
    await utimes(download, old, old);
    const { removed, freed } = await pruneCache(30, context);
    assert.equal([removed.map(({ key }) => key), freed], [[path.basename(download)], 9]);
    assert.is((await listCache(context)).length, 2);
    assert.ok(await stat(layer));
  }));

test('layers are not removed without the tools that made them: nothing is', () =>
  withCache(async ({ context }) => {
    const error: unknown = await pruneCache(0, context).catch((caught: unknown) => caught);
    assert.instance(error, PiimgError);
    assert.match((error as PiimgError).message, 'native tools that made them are gone');
    assert.is((await listCache(context)).length, 3);
  }));

test('the command ends with 1 when something is damaged, and names it', () =>
  withCache(async ({ context, download }) => {
    const env = { PIIMG_CACHE: context.cacheDir };
    const whole = await piimg(['cache', 'verify', '--progress', 'silent'], { env });
    assert.equal([whole.exitCode, whole.stdout.trim()], [EXIT.done, '3 entries read, 0 damaged']);
    await flip(download, 0);
    const damaged = await piimg(['cache', 'verify', '--progress', 'silent'], { env });
    assert.is(damaged.exitCode, EXIT.failed);
    assert.match(damaged.stdout, `damaged: ${download}: its sha256 differs\n3 entries read, 1 damaged`);
    const list = await piimg(['cache', 'ls'], { env });
    assert.match(list.stdout, /^layer +[0-9a-f]{12} .* files\n(download .*\n){2}3 entries, /);
  }));

test.run();
