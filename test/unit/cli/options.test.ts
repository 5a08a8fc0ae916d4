// Values of options, search paths, the cache folder.
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cacheFolder, searchPaths } from '../../../src/cli/context.ts';
import { mirrorFrom, parseCount, parseSize, parseUrl } from '../../../src/cli/parse.ts';
import { EXIT, type PiimgError } from '../../../src/lib/errors.ts';
import { withFolder } from './piimg.ts';

test('sizes count like mkfs with G and GiB, like vendors with GB', () => {
  const sizes = ['4G', '4GiB', '4gb', '1.5M', '512'].map(parseSize);
  assert.equal(sizes, [2 ** 32, 2 ** 32, 4e9, 1.5 * 2 ** 20, 512]);
  for (const wrong of ['', 'G', '0', '-1G', '4T', '4 G B', '1e9'])
    assert.throws(() => parseSize(wrong), /written like/);
});

test('counts are whole and at least 1, mirrors are http', () => {
  assert.is(parseCount('8'), 8);
  for (const wrong of ['0', '1.5', 'x', '-2', '']) assert.throws(() => parseCount(wrong));
  assert.is(parseUrl('http://deb.example.org/debian/'), 'http://deb.example.org/debian');
  for (const wrong of ['deb.example.org', 'file:///x', '']) assert.throws(() => parseUrl(wrong));
});

test('PIIMG_MIRROR counts when there is no --mirror and it is not empty; it has to be an address as well', () => {
  assert.is(mirrorFrom('http://a', { PIIMG_MIRROR: 'http://b' }), 'http://a');
  assert.is(mirrorFrom(undefined, { PIIMG_MIRROR: 'http://b/' }), 'http://b');
  assert.is(mirrorFrom(undefined, { PIIMG_MIRROR: '' }), undefined);
  assert.is(mirrorFrom(undefined, {}), undefined);
  assert.throws(
    () => mirrorFrom(undefined, { PIIMG_MIRROR: 'deb.example.org' }),
    (error: PiimgError) => error.exitCode === EXIT.usage && error.message.includes('PIIMG_MIRROR is "deb.example.org"'),
  );
});

test("the user's folders come first, where they exist, and none is searched twice", () =>
  withFolder(async (folder) => {
    const builtIn = path.join(folder, 'built-in');
    const own = path.join(folder, 'own');
    await mkdir(path.join(own, 'overlays'), { recursive: true });
    const { roleDirs, overlayDirs } = searchPaths(own, builtIn);
    assert.equal(roleDirs, [path.join(builtIn, 'images/roles')]);
    assert.equal(overlayDirs, [path.join(own, 'overlays'), path.join(builtIn, 'overlays')]);
    assert.equal(searchPaths(builtIn, builtIn).overlayDirs, [path.join(builtIn, 'overlays')]);
  }));

test('the cache is where the environment says', () => {
  assert.is(cacheFolder({ PIIMG_CACHE: '/a', XDG_CACHE_HOME: '/b' }), '/a');
  assert.is(cacheFolder({ XDG_CACHE_HOME: '/b' }), '/b/piimg');
  assert.is(cacheFolder({}), path.join(homedir(), '.cache/piimg'));
  assert.is(cacheFolder({ PIIMG_CACHE: `/it's "a": b, #1 \\` }), `/it's "a": b, #1 \\`);
  assert.throws(() => cacheFolder({ PIIMG_CACHE: '/a\nb' }), /"\/a\\nb": there is a line break/);
});

test.run();
