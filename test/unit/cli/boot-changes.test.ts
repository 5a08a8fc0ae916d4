// Files of a boot partition are changed so that a cut at any write leaves whole files, and so that its file system stays sound.
import { copyFile, open, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { changesFor, settled, type Stages } from '../../../src/cli/boot-changes.ts';
import { readerOf } from '../../../src/image/ranges.ts';
import type { Edit } from '../../../src/seed/formats/edits.ts';
import { apply, refused, writeEdits } from '../../helpers/boot-edits.ts';
import { checkFat, fatImage, freeInSecondTable, OLD, START, textsOf, withFat } from '../../helpers/fat-image.ts';

const NEW: Record<string, string> = {
  'user-data': '#cloud-config\n'.repeat(200),
  'network-config': 'network: {}\n'.repeat(60),
  'meta-data': 'instance-id: piimg-pi1\n',
  'cmdline.txt': 'console=tty1 rootwait ds=nocloud;i=piimg-pi1\n',
  ssh: '',
};
const edits: Edit[] = Object.entries(NEW).map(([path, text]) => ({ path, content: Buffer.from(text) }));
const names = Object.keys(NEW);

async function stagesOf(file: string, wanted = edits): Promise<Stages> {
  const handle = await open(file);
  try {
    return (await changesFor(readerOf(handle), { offset: START, what: 'card.img' }, wanted)).stages;
  } finally {
    await handle.close();
  }
}

for (const fat of [12, 16, 32]) {
  test(`FAT${fat}: what is written is what is read, other files stay, and the file system is sound`, async () => {
    const { file } = await fatImage({ fat, fill: fat === 12 ? 2 : 40 });
    const before = await readFile(file);
    await writeEdits(file, START, edits);
    assert.equal(await textsOf(file, names), Object.values(NEW));
    assert.equal(await textsOf(file, ['overlays/vc4.dtbo', 'a file with a long name 1.dtb']), [
      OLD['cmdline.txt'],
      '1\n'.repeat(300),
    ]);
    const { exitCode, stdout } = await checkFat(file);
    assert.is(exitCode, 0, stdout);
    assert.equal((await readFile(file)).subarray(0, START), before.subarray(0, START));
    // And once more, as when a card is given to another machine; then some are taken away.
    await writeEdits(file, START, [
      { path: 'user-data', content: Buffer.from('again\n') },
      { path: 'ssh', remove: true },
    ]);
    assert.equal(await textsOf(file, ['user-data', 'ssh', 'meta-data']), ['again\n', undefined, NEW['meta-data']]);
    assert.is((await checkFat(file)).exitCode, 0);
  });
}

test('cut after any write: each file is the old one or the new one, and meta-data and cmdline.txt are new only when all others are', async () => {
  const { file } = await fatImage();
  const copy = `${file}.cut`;
  const changes = (await stagesOf(file)).flat();
  assert.ok(changes.length > 8, String(changes.length));
  await copyFile(file, copy);
  const old = names.map((name) => (OLD as Record<string, string>)[name]);
  for (const change of changes) {
    await apply(copy, [change]);
    const texts = await textsOf(copy, names);
    const isNew = texts.map((text, index) => text === Object.values(NEW)[index]);
    for (const [index, text] of texts.entries())
      assert.ok(isNew[index] || text === old[index], `${names[index]}: ${text}`);
    const last = ['meta-data', 'cmdline.txt'].map((name) => isNew[names.indexOf(name)]);
    if (last[0]) assert.ok(isNew[0] && isNew[1] && isNew[4]);
    if (last[1]) assert.ok(last[0]);
  }
  assert.is((await checkFat(copy)).exitCode, 0);
});

test('a directory of which one slot is free: it grows, and at no cut does cmdline.txt name what is not there', async () => {
  for (const free of [1, 2, 3]) {
    // Clusters of 16 slots; the folder `overlays`, cmdline.txt and meta-data, of two slots, are there.
    const { file, mtools } = await fatImage({ fill: 0 });
    await mtools('mdel', '::meta-data');
    await writeFile(`${file}.x`, 'x');
    const small = Array.from({ length: 16 - 2 - free }, (_, index) => `::F${index}`);
    for (const name of small) await mtools('mcopy', `${file}.x`, name);
    assert.is(await slotsOf(file), 16 - free);
    const script = 'a script with a long name, which takes slots.sh';
    const wanted: Edit[] = [
      { path: script, content: Buffer.from('#!/bin/sh\n') },
      { path: 'cmdline.txt', content: Buffer.from('systemd.run\n') },
      { path: 'meta-data', content: Buffer.from('new\n') },
    ];
    const copy = `${file}.cut`;
    await copyFile(file, copy);
    for (const change of (await stagesOf(file, wanted)).flat()) {
      await apply(copy, [change]);
      const [first, command, meta] = await textsOf(copy, [script, 'cmdline.txt', 'meta-data']);
      if (command === 'systemd.run\n') assert.equal([first, meta], ['#!/bin/sh\n', 'new\n']);
      if (meta !== undefined) assert.is(first, '#!/bin/sh\n');
    }
    assert.is((await checkFat(copy)).exitCode, 0);
  }
});

test('what is to go stays as long as the old cmdline.txt may name it', async () => {
  const { file, mtools } = await fatImage({ fill: 0 });
  await mtools('mcopy', `${dirname(file)}/meta-data`, '::firstrun.sh');
  const copy = `${file}.cut`;
  await copyFile(file, copy);
  const stages = await stagesOf(file, [{ path: 'firstrun.sh', remove: true }, ...edits]);
  for (const change of stages.flat()) {
    await apply(copy, [change]);
    const [script, command] = await textsOf(copy, ['firstrun.sh', 'cmdline.txt']);
    if (command === OLD['cmdline.txt']) assert.is(script, OLD['meta-data']);
  }
  assert.equal(await textsOf(copy, ['firstrun.sh', 'piimg0.new']), [undefined, undefined]);
  assert.is((await checkFat(copy)).exitCode, 0);
});

/** Used ones of the root, those of long names and of the label with them. */
const slotsOf = (file: string): Promise<number> =>
  withFat(file, async ({ read, dataStart, clusterBytes }) => {
    const bytes = await read(dataStart, clusterBytes);
    return Array.from({ length: clusterBytes / 32 }, (_, index) => bytes[index * 32]).filter((byte) => byte !== 0)
      .length;
  });

test('of what was replaced or removed nothing stays on the card', async () => {
  const { file } = await fatImage({ fat: 32, fill: 40 });
  const holds = async (text: string): Promise<boolean> => (await readFile(file)).includes(text);
  const secret = (text: string): Edit[] => ['user-data', 'ssh'].map((path) => ({ path, content: Buffer.from(text) }));
  await writeEdits(file, START, secret('first-secret'));
  assert.ok(await holds('first-secret'), 'it is looked for in the right place');
  await writeEdits(file, START, secret('another-one'));
  assert.not.ok(await holds('first-secret'));
  await writeEdits(file, START, [
    { path: 'user-data', remove: true },
    { path: 'ssh', remove: true },
  ]);
  assert.not.ok(await holds('another-one'));
  assert.is((await checkFat(file)).exitCode, 0);
});

test('settled: the same image at once, for a card that is written anew', async () => {
  const { file } = await fatImage();
  const [staged, whole] = [`${file}.staged`, `${file}.settled`];
  const stages = await stagesOf(file);
  for (const copy of [staged, whole]) await copyFile(file, copy);
  await apply(staged, stages.flat());
  await apply(whole, settled(stages));
  assert.ok((await readFile(staged)).equals(await readFile(whole)));
});

test('a directory that has no place left grows', async () => {
  const { file, mtools } = await fatImage({ fill: 0 });
  const many = Array.from({ length: 40 }, (_, index): Edit => ({
    path: `some longer name ${index}.txt`,
    content: Buffer.from('x'),
  }));
  await writeEdits(file, START, many);
  assert.is((await checkFat(file)).exitCode, 0);
  assert.match((await mtools('mdir', '-b', '::')).stdout, 'some longer name 39.txt');
});

test('read-only files are replaced, names keep their case', async () => {
  const { file, mtools } = await fatImage({ fill: 0 });
  await mtools('mren', '::cmdline.txt', '::other');
  await mtools('mren', '::other', '::CmdLine.TXT');
  await mtools('mattrib', '+r', '::CmdLine.TXT');
  await writeEdits(file, START, edits);
  assert.equal(await textsOf(file, ['cmdline.txt']), [NEW['cmdline.txt']]);
  assert.match((await mtools('mdir', '-b', '::')).stdout, 'CmdLine.TXT');
});

test('a damaged file system, one that is full and a folder in the place of a file are refused, and not a byte is written', async () => {
  const [damaged, folder, full] = [
    await fatImage({ fill: 0 }),
    await fatImage({ fill: 0 }),
    await fatImage({ fill: 0 }),
  ];
  await freeInSecondTable(damaged.file, 'cmdline.txt');
  await folder.mtools('mmd', '::user-data');
  const large = [{ path: 'a', content: Buffer.alloc(36 << 20) }];
  for (const [{ file }, wanted, pattern] of [
    [damaged, edits, /is damaged/],
    [folder, edits, /user-data is a folder/],
    [full, large, /has no room/],
  ] as const) {
    const before = await readFile(file);
    const hint = await refused(writeEdits(file, START, [...wanted]), pattern);
    if (file === damaged.file) assert.match(hint, `losetup -P --find --show ${file}`);
    assert.ok((await readFile(file)).equals(before));
  }
});

test('a single table', async () => {
  const { file } = await fatImage({ tables: 1, fill: 0 });
  await writeEdits(file, START, edits);
  assert.equal(await textsOf(file, names), Object.values(NEW));
  assert.is((await checkFat(file)).exitCode, 0);
});

test('a read-only file goes', async () => {
  const { file, mtools } = await fatImage({ fill: 0 });
  await mtools('mattrib', '+r', '::cmdline.txt');
  await writeEdits(file, START, [{ path: 'cmdline.txt', remove: true }]);
  assert.equal(await textsOf(file, ['cmdline.txt']), [undefined]);
});

test('a file by way of a symbolic link, and a signal before the first byte', async () => {
  const { file } = await fatImage({ fill: 0 });
  await symlink(file, `${file}.link`);
  const stop = AbortSignal.abort(new Error('stopped'));
  const before = await readFile(file);
  assert.is(await writeEdits(file, START, edits, stop).catch(String), 'Error: stopped');
  assert.ok((await readFile(file)).equals(before));
  await writeEdits(`${file}.link`, START, edits);
  assert.equal(await textsOf(file, names), Object.values(NEW));
});

test.run();
