// Names of a FAT's directories, as computers that know no long names leave them.
import { open } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findInFat, listFat } from '../../../src/image/fat.ts';
import { fatImage, withFat } from '../../helpers/fat-image.ts';

const namesIn = (file: string): Promise<string[]> =>
  withFat(file, async (volume) => (await listFat(volume)).map(({ name }) => name));

test('a file that was removed by its short name only: what is left of its long one names no other file', async () => {
  const { file } = await fatImage({ fill: 3 });
  const gone = 'a file with a long name 1.dtb';
  const before = await namesIn(file);
  assert.ok(before.includes(gone));
  const slot = await withFat(file, async (volume) => (await findInFat(volume, gone))?.slot ?? 0);
  const handle = await open(file, 'r+');
  await handle.write(Buffer.of(0xe5), 0, 1, slot);
  await handle.close();
  assert.equal(
    await namesIn(file),
    before.filter((name) => name !== gone),
  );
});

test('pieces of a long name that another entry was put behind', async () => {
  const { file } = await fatImage({ fill: 3 });
  const name = 'a file with a long name 1.dtb';
  const slot = await withFat(file, async (volume) => (await findInFat(volume, name))?.slot ?? 0);
  const handle = await open(file, 'r+');
  await handle.write('CMD     TXT', slot, 'latin1');
  await handle.close();
  const names = await namesIn(file);
  assert.ok(names.includes('CMD.TXT'), names.join(', '));
  assert.not.ok(names.includes(name));
});

test('left-over pieces of a long name just before a file with a long name: its own counts', async () => {
  const { file } = await fatImage({ fill: 1 });
  const name = 'a file with a long name 0.dtb';
  const slot = await withFat(file, async (volume) => (await findInFat(volume, name))?.slot ?? 0);
  const handle = await open(file, 'r+');
  // All of it, three pieces and the short name, moves on by a slot; the first piece stays, as one of another name.
  const pieces = Buffer.alloc(4 * 32);
  await handle.read(pieces, 0, pieces.length, slot - 3 * 32);
  await handle.write(pieces, 0, pieces.length, slot - 2 * 32);
  await handle.write(Buffer.of((pieces[13] ?? 0) ^ 1), 0, 1, slot - 3 * 32 + 13);
  await handle.close();
  assert.ok((await namesIn(file)).includes(name), (await namesIn(file)).join(', '));
});

test('the time of a file is that of its entry, without a zone; one without a date is of 1980', async () => {
  const { file } = await fatImage({ fill: 1 });
  const name = 'a file with a long name 0.dtb';
  const entry = () => withFat(file, (volume) => findInFat(volume, name));
  const { slot = 0 } = (await entry()) ?? {};
  const handle = await open(file, 'r+');
  for (const [time, date, expected] of [
    [0xbf7d, 0x5af5, '2025-07-21T23:59:58.000Z'],
    [0, 0, '1980-01-01T00:00:00.000Z'],
  ] as const) {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt16LE(time, 0);
    bytes.writeUInt16LE(date, 2);
    await handle.write(bytes, 0, 4, slot + 22);
    assert.is(new Date(((await entry())?.mtime ?? 0) * 1000).toISOString(), expected);
  }
  await handle.close();
});

test.run();
