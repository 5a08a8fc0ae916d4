// The file systems that are kept of all but the seed and a role's own files: the same bytes with it and without, and it is looked at.
import { open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ext4UsedRanges } from '../../src/image/ext4.ts';
import { findInFat, openFat, readFromFat } from '../../src/image/fat.ts';
import { readerOf } from '../../src/image/ranges.ts';
import type { AssembleInput } from '../../src/image/assemble.ts';
import { minimalSeed } from '../../src/seed/minimal.ts';
import { makeLayer } from '../helpers/image-layers.ts';
import { assemble, BOOT, judge, layers, LONG, ROOT, sh, work } from '../helpers/small-image.ts';

const TOP = `
mkdir -p "$1" && cd "$1"
mkdir -p etc "etc/new folder/below" usr/share
echo three > etc/hostname; : > etc/empty; echo owned > etc/owned; chown 70001:1234 etc/owned
printf '%s' 'quotes' > 'etc/new folder/a "quoted" name'; echo umlaut > 'etc/new folder/below/ä $HOME \\'
ln -s "$(printf %061d 0)" etc/far; ln -s 'to "it"' etc/near; chmod 2750 'etc/new folder'; chown 5:6 'etc/new folder'
rm -f symlink_60; echo file > symlink_60; ln -s etc opaque; echo folder > usr/share/noise; chmod 1755 etc
`;

await sh(TOP, join(work, 'top'));
const from = [...layers, await makeLayer(join(work, 'layer-top'), join(work, 'top'), { whiteouts: [LONG] })];

test("a role's own files are put into a kept file system of the layers below: sound, and the same bytes as without", async () => {
  await sh(
    `cp -a "$1/expected" "$1/expected-top" && cd "$1/expected-top" && rm -r opaque symlink_60 "${LONG}"
     cp -a "$1/top/." . && chmod --reference "$1/expected" .`,
    work,
  );
  const notes: string[] = [];
  const step = { update: () => {}, note: (message: string) => notes.push(message) };
  const stages = { dir: join(work, 'stages'), tmp: join(work, 'tmp'), fresh: false };
  const without = await assemble('without.img', from);
  const first = await assemble('with.img', from, { stages, step });
  const [stage = ''] = await readdir(stages.dir);
  const second = await assemble('with.img', from, { stages, step });
  assert.equal([first.sha256, second.sha256], [without.sha256, without.sha256]);
  assert.equal(notes, []);
  await judge(join(work, 'with.img'), 'expected-top');

  // One byte of the kept file system changes; its journal, where nothing would show it at once.
  const kept = await open(join(work, 'stages', stage, 'stage.img'), 'r+');
  const [range] = await ext4UsedRanges(readerOf(kept), ROOT);
  await kept.write(Buffer.from([1]), 0, 1, (range?.offset ?? 0) + 100_000);
  await kept.close();
  assert.is((await assemble('with.img', from, { stages, step })).sha256, without.sha256);
  assert.equal(notes, ['the cached file systems are damaged: made anew']);

  // A range in its index would send blocks to another place.
  const index = join(stages.dir, stage, 'stage.json');
  const text = await readFile(index, 'utf8');
  const moved = text.replace(/"offset":(\d+)/, (_all, offset: string) => `"offset":${Number(offset) - 4096}`);
  assert.is.not(moved, text);
  await writeFile(index, moved);
  assert.is((await assemble('with.img', from, { stages, step })).sha256, without.sha256);
  assert.is(await readFile(index, 'utf8'), text);
  assert.equal(await readdir(stages.dir), [stage]);
  assert.equal(await readdir(stages.tmp), []);
  await Promise.all([rm(join(work, 'with.img')), rm(join(work, 'without.img'))]);
});

test('a kept file system that goes while it is in use, and two builds that make the same one', async () => {
  const stages = { dir: join(work, 'stages-2'), tmp: join(work, 'tmp-2'), fresh: false };
  const [one, two] = await Promise.all([assemble('one.img', from, { stages }), assemble('two.img', from, { stages })]);
  const clear = async (what = ''): Promise<void> => {
    for (const key of await readdir(stages.dir)) await rm(join(stages.dir, key, what), { recursive: true });
  };
  // It goes while the copy begins: that may have opened it already.
  const cleared: Promise<void>[] = [];
  const step = { update: () => void (cleared.length === 0 && cleared.push(clear())), note: () => {} };
  const during = await assemble('one.img', from, { stages, step });
  await Promise.all(cleared);
  await assemble('one.img', from, { stages });
  await clear('stage.img');
  const after = await assemble('one.img', from, { stages });
  assert.equal(
    [one, two, during].map(({ sha256 }) => sha256),
    [after, after, after].map(({ sha256 }) => sha256),
  );
  assert.is((await readdir(stages.dir)).length, 1);
  assert.equal(await readdir(stages.tmp), []);
  await Promise.all([rm(join(work, 'one.img')), rm(join(work, 'two.img'))]);
});

test('a seed of its own shares a kept boot partition; a file of its own in there does not', async () => {
  const stages = { dir: join(work, 'stages-4'), tmp: join(work, 'tmp-4'), fresh: false };
  const written = (id: string, text: string) =>
    minimalSeed(id).map(({ name, content }) => ({ name, content: content.fill(text) }));
  const held = async (name: string, more: Partial<AssembleInput>): Promise<string[]> => {
    const { sha256, slots } = await assemble('kept.img', from, { stages, ...more });
    assert.is((await assemble('made.img', from, more)).sha256, sha256, name);
    const file = await open(join(work, 'kept.img'));
    const read = readerOf(file);
    const fat = await openFat(read, BOOT);
    const found = await findInFat(fat, 'cmdline.txt');
    const cmdline = found && (await readFromFat(fat, found));
    const seeds = await Promise.all(slots.map(({ offset }) => read(offset, 4)));
    await file.close();
    return [...seeds, cmdline].map(String);
  };
  const cmdline = (text: string) => ({ bootFiles: [{ path: 'cmdline.txt', content: Buffer.from(text) }] });
  const one = await held('one', { seed: written('one', 'one.'), ...cmdline('quiet') });
  const two = await held('two', { seed: written('two', 'two.'), ...cmdline('quiet') });
  const [kept, ...more] = await readdir(stages.dir);
  assert.equal(more, []);
  const loud = await held('loud', { seed: written('two', 'two.'), ...cmdline('debug') });
  const [other, ...others] = await readdir(stages.dir);
  assert.is.not(other, kept);
  assert.equal(others, [], 'what is kept of an image replaces what was kept before');
  const seeds = minimalSeed('one').length;
  const expected = (seed: string, last: string) => [...Array.from({ length: seeds }, () => seed), last];
  assert.equal([one, two, loud], [expected('one.', 'quiet'), expected('two.', 'quiet'), expected('two.', 'debug')]);
  await Promise.all([rm(join(work, 'kept.img')), rm(join(work, 'made.img'))]);
});

test('a kept file system may have layers from above those that change', async () => {
  await sh(
    'mkdir -p "$1/usr/share/above" && cd "$1" && echo above > usr/share/above/file && chmod 711 usr',
    join(work, 'above'),
  );
  await sh(
    'cp -a "$1/expected-top" "$1/expected-above" && cp -a "$1/above/." "$1/expected-above" && chmod --reference "$1/expected" "$1/expected-above"',
    work,
  );
  const above = await makeLayer(join(work, 'layer-above'), join(work, 'above'));
  const stages = { dir: join(work, 'stages-3'), tmp: join(work, 'tmp-3'), fresh: false };
  const [kept, plain] = [
    await assemble('with.img', [...from, above], { stages, stable: [...layers, above] }),
    await assemble('without.img', [...from, above], { stable: [...layers, above] }),
  ];
  assert.is(kept.sha256, plain.sha256);
  await judge(join(work, 'with.img'), 'expected-above');
  await Promise.all([rm(join(work, 'with.img')), rm(join(work, 'without.img'))]);
});

test('what the role removes may be more than its image has room for', async () => {
  await sh('mkdir -p "$1" "$2"; yes | head -c 70M > "$1/bulk"', join(work, 'bulk'), join(work, 'nothing'));
  const bulk = await makeLayer(join(work, 'layer-bulk'), join(work, 'bulk'));
  const less = await makeLayer(join(work, 'layer-less'), join(work, 'nothing'), { whiteouts: ['bulk'] });
  await assemble('small.img', [...layers, bulk, less], { size: ROOT + (96 << 20) });
  await judge(join(work, 'small.img'), 'expected');
  await rm(join(work, 'small.img'));
});

test.run();
