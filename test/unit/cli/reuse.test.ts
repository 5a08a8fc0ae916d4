// An image is reused only when it is the one asked for; a compressed copy of another one does not stay beside it.
import { mkdir, readdir, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { removeOldCopy, unchanged } from '../../../src/cli/reuse.ts';
import { encodeHeader, HEADER_MAX } from '../../../src/image/header.ts';
import { HEADER_LBA } from '../../../src/image/layout.ts';
import { SECTOR } from '../../../src/image/mbr.ts';
import { withFolder } from './piimg.ts';

const ID = 'c0ffee'.repeat(10);
const SIZE = HEADER_LBA * SECTOR + HEADER_MAX;
const OWN = { buildId: ID, role: 'web', base: 'tiny', slots: [], partitions: [], created: 0 };
const HEADER = encodeHeader(OWN);

/** What a build leaves: image, block map, packed copy, manifest. */
async function built(folder: string, changes: { id?: string; manifest?: string; header?: Buffer } = {}): Promise<void> {
  const bytes = Buffer.alloc(SIZE);
  (changes.header ?? HEADER).copy(bytes, HEADER_LBA * SECTOR);
  await writeFile(path.join(folder, 'web.img'), bytes);
  await writeFile(path.join(folder, 'web.img.bmap'), '');
  await writeFile(path.join(folder, 'web.img.xz'), 'packed');
  const compressed = { file: 'web.img.xz', format: 'xz', size: 6, sha256: '' };
  const image = { file: 'web.img', size: SIZE, sha256: '', bmap: 'web.img.bmap', compressed };
  const manifest = changes.manifest ?? JSON.stringify({ version: 1, buildId: changes.id ?? ID, image });
  await writeFile(path.join(folder, 'web.manifest.json'), manifest);
}

const place = (folder: string): [image: string, manifest: string] => [
  path.join(folder, 'web.img'),
  path.join(folder, 'web.manifest.json'),
];

const isReused = async (folder: string, compress: 'none' | 'xz' | 'zst' = 'none', cache = true): Promise<boolean> =>
  (await unchanged(...place(folder), ID, { cache, compress })) !== undefined;

test('an image of the same build id that nobody touched is reused, with the copy that was asked for', () =>
  withFolder(async (folder) => {
    await built(folder);
    assert.equal(
      [await isReused(folder), await isReused(folder, 'xz'), await isReused(folder, 'zst')],
      [true, true, false],
    );
    assert.is(await isReused(folder, 'none', false), false, '--no-cache');
    await truncate(path.join(folder, 'web.img.xz'), 5);
    assert.is(await isReused(folder, 'xz'), false);
  }));

const OTHERS: [what: string, change: Parameters<typeof built>[1]][] = [
  ['its manifest is of another build', { id: 'other' }],
  ['its header is of another build', { header: encodeHeader({ ...OWN, buildId: 'other' }) }],
  ['its header is damaged', { header: Buffer.concat([HEADER.subarray(0, 70), Buffer.alloc(40)]) }],
  ['it has no header', { header: Buffer.alloc(16) }],
  ['its manifest is no JSON', { manifest: '{' }],
  ['its manifest is something else', { manifest: 'null' }],
  ['its manifest is of a later version', { manifest: JSON.stringify({ version: 2, buildId: ID }) }],
];
for (const [what, change] of OTHERS) {
  test(`an image is made anew when ${what}`, () =>
    withFolder(async (folder) => {
      await built(folder, change);
      assert.is(await isReused(folder), false);
    }));
}

test('an image is made anew when it was written to since, or lost its block map', () =>
  withFolder(async (folder) => {
    await built(folder);
    const later = new Date(Date.now() + 60_000);
    await utimes(path.join(folder, 'web.img'), later, later);
    assert.is(await isReused(folder), false);
    await built(folder);
    await truncate(path.join(folder, 'web.img'), SIZE - 1);
    assert.is(await isReused(folder), false);
    await built(folder);
    await rm(path.join(folder, 'web.img.bmap'));
    assert.is(await isReused(folder), false);
  }));

test('the packed copy of the image before is removed, and named', () =>
  withFolder(async (folder) => {
    await built(folder);
    assert.is(await removeOldCopy(...place(folder)), path.join(folder, 'web.img.xz'));
    assert.equal((await readdir(folder)).sort(), ['web.img', 'web.img.bmap', 'web.manifest.json']);
    assert.is(await removeOldCopy(...place(folder)), undefined);
  }));

test('a packed file that the manifest does not know stays, wherever it is', () =>
  withFolder(async (folder) => {
    await built(folder);
    await writeFile(path.join(folder, 'web.img.xz'), "somebody else's");
    assert.is(await removeOldCopy(...place(folder)), undefined);
    const out = path.join(folder, 'out');
    await mkdir(out);
    const compressed = { file: '../web.img.xz', format: 'xz', size: 15, sha256: '' };
    await built(out, { manifest: JSON.stringify({ version: 1, image: { compressed } }) });
    assert.is(await removeOldCopy(...place(out)), undefined);
    assert.ok((await readdir(folder)).includes('web.img.xz'));
    await built(out, { manifest: JSON.stringify({ version: 1, image: {} }) });
    assert.is(await removeOldCopy(...place(out)), undefined);
  }));

test.run();
