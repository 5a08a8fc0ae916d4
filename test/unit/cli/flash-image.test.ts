// What a flash knows of its image before a byte is written, and what it takes from files beside it.
import { readFile, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openImage } from '../../../src/cli/flashing/image.ts';
import { notedDigest } from '../../../src/cli/flashing/note.ts';
import { bmapXml } from '../../../src/image/bmap.ts';
import { sha256 } from '../../../src/lib/digest.ts';
import { MIB, plainImage } from '../../helpers/flashing.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const signal = new AbortController().signal;

test('a block map without the first block: it is written all the same, for without it no card boots', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder, 4 * MIB);
  const [offset, length] = [MIB, MIB];
  await writeFile(
    path.join(folder, 'plain.bmap'),
    bmapXml(4 * MIB, [{ offset, length, sha256: sha256((await readFile(image)).subarray(offset, offset + length)) }]),
  );
  const { ranges = [] } = await openImage(image, signal);
  assert.equal(
    ranges.map((range) => [range.offset, range.length]),
    [
      [0, 4096],
      // What an earlier image of piimg's, and its card, would say of themselves.
      [64 * 512, 65_536],
      [256 * 512, 4096],
      [offset, length],
    ],
  );
});

test('the digest that a build has noted is not that of an image that was changed since', async () => {
  const folder = temporaryFolder();
  const file = await plainImage(folder, 4 * MIB);
  const { source } = await openImage(file, signal);
  const header = { buildId: 'ab'.repeat(32) } as Parameters<typeof notedDigest>[0]['header'];
  const manifest = path.join(folder, 'plain.manifest.json');
  await writeFile(
    manifest,
    JSON.stringify({ buildId: header?.buildId, image: { size: 4 * MIB, sha256: 'c'.repeat(64) } }),
  );
  const noted = () => notedDigest({ source, header, size: 4 * MIB, least: 0, ranges: undefined });
  assert.is(await noted(), 'c'.repeat(64));
  const later = new Date(Date.now() + 60_000);
  await utimes(file, later, later);
  assert.is(await noted(), undefined);
});

test.run();
