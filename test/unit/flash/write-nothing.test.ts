// The engine where nothing can be written: stopped before it began, and on a full disk.
import { open, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { stampOf } from '../../../src/lib/stamp.ts';
import { writeCards } from '../../../src/flash/write/write-cards.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const folder = temporaryFolder();
const image = path.join(folder, 'image');
const card = path.join(folder, 'card');
await writeFile(image, Buffer.alloc(8192, 7));
const stamp = stampOf(await stat(image));

test('stopped before anything was asked of the cards: what was on them is gone, perhaps, or there', async () => {
  const handle = await open(card, 'w+');
  try {
    const cards = (['no', 'perhaps', 'yes'] as const).map((emptied) => ({
      name: emptied,
      fd: handle.fd,
      size: 8192,
      patches: [],
      resumeFrom: 0,
      emptied,
    }));
    const flashed = await writeCards(
      {
        source: { name: image, kind: 'file', packing: 'none', size: 8192, rereadable: true, stamp },
        ranges: undefined,
        mode: 'write',
        wipe: false,
        cards,
      },
      () => {},
      { signal: AbortSignal.abort(new Error('stopped')) },
    );
    assert.match(
      flashed.map(({ problem }) => problem).join('; '),
      /^stopped before it was touched; .*no more to be relied on; .*nothing boots/,
    );
    assert.is((await stat(card)).size, 0);
  } finally {
    await handle.close();
  }
});

test('a file on a full disk is no card that ends too early', async () => {
  const full = await open('/dev/full', 'r+');
  try {
    const [flashed] = await writeCards(
      {
        source: { name: image, kind: 'file', packing: 'none', size: 8192, rereadable: true, stamp },
        ranges: undefined,
        size: 8192,
        mode: 'write',
        wipe: false,
        cards: [{ name: 'file', fd: full.fd, size: Infinity, patches: [], resumeFrom: 0 }],
      },
      () => {},
      { signal: new AbortController().signal },
    );
    assert.is(flashed?.problem, 'the disk that it is written to is full');
    assert.match(flashed?.hint ?? '', /^Make room there/);
  } finally {
    await full.close();
  }
});

test.run();
