// What differs between two images or plans: packages by name and version, files where both have some.
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createContext } from '../../../src/cli/context.ts';
import { compareFiles, installedPackages } from '../../../src/cli/diffing-files.ts';
import { comparePackages, diffImages } from '../../../src/cli/diffing.ts';
import type { ImageFile } from '../../../src/image/files.ts';
import { encodeMbr } from '../../../src/image/mbr.ts';
import { PiimgError } from '../../../src/lib/errors.ts';
import { handmadeLayer } from '../../helpers/cache.ts';
import { lockedPackage } from '../../helpers/plan-inputs.ts';
import { withFolder } from './piimg.ts';

const packages = (...words: string[]) =>
  words.map((word) => lockedPackage(word.replace(/=.*/, ''), word.replace(/^[^=]*=?/, '') || '1.0'));

test('added, removed and changed packages, the rest unsaid', () => {
  assert.equal(comparePackages(packages('a=1', 'b', 'c=1:2.3'), packages('b', 'c=1:2.3+b1', 'd')), {
    added: [{ name: 'd', version: '1.0' }],
    removed: [{ name: 'a', version: '1' }],
    changed: [{ name: 'c', from: '1:2.3', to: '1:2.3+b1' }],
  });
});

test('the same packages in another order are no difference', () => {
  assert.equal(comparePackages(packages('a', 'b'), packages('b', 'a')), { added: [], removed: [], changed: [] });
});

test('there and back say the opposite', () => {
  const list = fc.uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('1', '2', '1:1')), {
    selector: ([name]) => name,
  });
  fc.assert(
    fc.property(list, list, (one, two) => {
      const [a, b] = [one, two].map((side) => side.map(([name, version]) => lockedPackage(name, version)));
      const forth = comparePackages(a ?? [], b ?? []);
      const back = comparePackages(b ?? [], a ?? []);
      const sorted = (items: unknown[]) => items.map((item) => JSON.stringify(item)).sort();
      assert.equal(sorted(forth.added), sorted(back.removed));
      assert.equal(sorted(forth.removed), sorted(back.added));
      assert.equal(
        sorted(forth.changed),
        sorted(back.changed.map(({ name, from, to }) => ({ name, from: to, to: from }))),
      );
      const names = new Set([...one, ...two].map(([name]) => name));
      const same = one.filter(([name, version]) => two.some(([n, v]) => n === name && v === version));
      assert.is(forth.added.length + forth.removed.length + forth.changed.length + same.length, names.size);
    }),
  );
});

test('files of two images are compared by the layers in the cache; without these it is said', () =>
  withFolder(async (folder) => {
    const context = { ...createContext(new AbortController().signal, 'silent'), cacheDir: path.join(folder, 'cache') };
    const manifest = async (name: string, files: Record<string, string>) => {
      const { key, digest, title } = await handmadeLayer(context.cacheDir, name, files);
      const text = JSON.stringify({ version: 1, image: {}, packages: [], layers: [{ key, digest, title }] });
      await mkdir(path.join(folder, 'out'), { recursive: true });
      await writeFile(path.join(folder, 'out', `${name}.manifest.json`), text);
      return path.join(folder, 'out', `${name}.img`);
    };
    const a = await manifest('a', { same: '1', changed: '1', gone: '1' });
    const b = await manifest('b', { same: '1', changed: '2', fresh: '1' });
    const { files } = await diffImages(a, `${b}.zst`, context);
    assert.equal(files, {
      from: 'layers',
      added: ['/fresh'],
      removed: ['/gone'],
      changed: ['/changed'],
      onlyTime: [],
    });

    const elsewhere = { ...context, cacheDir: path.join(folder, 'empty') };
    const error: unknown = await diffImages(a, b, elsewhere).catch((caught: unknown) => caught);
    assert.match((error as PiimgError).message, 'is not in the cache any more');
  }));

test('of two files, type, mode, owner, attributes, link, size and content count; times are told apart', async () => {
  const plain: ImageFile = {
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: 3,
    mtime: 1,
    content: () => Readable.from([Buffer.from('one')]),
  };
  const variants: Record<string, Partial<ImageFile>> = {
    '/same': {},
    '/time': { mtime: 2 },
    '/mode': { mode: 0o4644 },
    '/owner': { uid: 1 },
    '/group': { gid: 1 },
    '/attribute': { xattrs: { 'security.capability': 'AAAA' } },
    '/link': { type: 'symlink', target: 'two' },
    '/content': { content: () => Readable.from([Buffer.from('tw'), Buffer.from('o')]) },
    '/pieces': { content: () => Readable.from([Buffer.from('o'), Buffer.from('ne')]) },
    '/size': { size: 4, content: () => Readable.from([]) },
  };
  const names = Object.keys(variants);
  const before = new Map(names.map((name) => [name, plain]));
  const after = new Map(names.map((name) => [name, { ...plain, ...variants[name] }]));
  const folder: ImageFile = { ...plain, type: 'directory' };
  before.set('/folder', folder);
  after.set('/folder', { ...folder, size: 4096 });
  const changes = await compareFiles(before, after, new AbortController().signal);
  const changed = names.filter((name) => !['/same', '/pieces', '/time'].includes(name)).sort();
  assert.equal(changes, { added: [], removed: [], changed, onlyTime: ['/time'] });
});

test('installed packages are those dpkg says are', async () => {
  const status =
    'Package: a\nStatus: install ok installed\nVersion: 1:2\nDescription: x\n Version: 9\n\n' +
    'Package: b\nStatus: deinstall ok config-files\nVersion: 1\n';
  const file: ImageFile = { type: 'file', size: status.length, content: () => Readable.from([Buffer.from(status)]) };
  assert.equal(await installedPackages(new Map([['/var/lib/dpkg/status', file]])), [{ name: 'a', version: '1:2' }]);
});

test('a file that is no image, or the beginning of one, is refused by name', () =>
  withFolder(async (folder) => {
    const context = createContext(new AbortController().signal, 'silent');
    const mbr = encodeMbr(1, [{ number: 1, type: 0x0c, start: 64, sectors: 64 }]);
    for (const [name, content] of Object.entries({ text: Buffer.alloc(5000, 'x'), cut: mbr })) {
      const file = path.join(folder, `${name}.img`);
      await writeFile(file, content);
      const error: unknown = await diffImages(file, file, context).catch((caught: unknown) => caught);
      assert.instance(error, PiimgError);
      assert.match((error as PiimgError).message, `${file} cannot be read as an image: `);
    }
    const packed: unknown = await diffImages(`${folder}/a.img.xz`, `${folder}/a.img.xz`, context).catch(
      (e: unknown) => e,
    );
    assert.match((packed as PiimgError).hint ?? '', 'Unpack the image');
  }));

test('what is neither image nor plan is refused by name', () =>
  withFolder(async (folder) => {
    const file = path.join(folder, 'x.json');
    const context = createContext(new AbortController().signal, 'silent');
    for (const [text, says] of [
      ['{}', 'neither a manifest nor a plan'],
      ['no json', 'neither a manifest nor a plan'],
      ['null', 'neither a manifest nor a plan'],
      ['{"version":1,"packages":[null]}', 'neither a manifest nor a plan'],
      ['{"version":1,"packages":[],"image":{}}', 'neither a manifest nor a plan'],
      ['{"version":1,"packages":[],"image":{},"layers":[{"key":"../x"}]}', 'neither a manifest nor a plan'],
      [undefined, 'cannot be read'],
    ] as const) {
      if (text !== undefined) await writeFile(file, text);
      const name = text === undefined ? path.join(folder, 'none.img') : file;
      const error: unknown = await diffImages(name, name, context).catch((caught: unknown) => caught);
      assert.instance(error, PiimgError);
      assert.match((error as PiimgError).message, says);
      assert.is((error as PiimgError).exitCode, 2);
    }
  }));

test.run();
