// Block map and checksums of an image.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bmapXml } from '../../../src/image/bmap.ts';
import { digestImage } from '../../../src/image/digest.ts';
import { cutAt, wholeBlocks } from '../../../src/image/ranges.ts';
import { sha256 } from '../../../src/lib/digest.ts';

test('ranges become whole blocks, sorted, with neighbours joined', () => {
  const ranges = [
    { offset: 9000, length: 10 },
    { offset: 0, length: 1 },
    { offset: 4096, length: 4096 },
    { offset: 40_960, length: 1 },
    { offset: 50_000, length: 0 },
  ];
  assert.equal(wholeBlocks(ranges, 4096), [
    { offset: 0, length: 12_288 },
    { offset: 40_960, length: 4096 },
  ]);
});

test('ranges are cut where places begin and end, those in holes aside', () => {
  const ranges = [
    { offset: 0, length: 100 },
    { offset: 200, length: 50 },
  ];
  const places = [
    { offset: 40, length: 10 },
    { offset: 50, length: 10 },
    { offset: 120, length: 10 },
    { offset: 200, length: 50 },
  ];
  assert.equal(
    cutAt(ranges, places).map(({ offset, length }) => [offset, offset + length]),
    [
      [0, 40],
      [40, 50],
      [50, 60],
      [60, 100],
      [200, 250],
    ],
  );
});

test('one pass gives the checksum of the whole and of every range', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'piimg-digest-'));
  try {
    const bytes = Buffer.alloc(3 << 20);
    for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 2_654_435_761) >>> 24;
    const file = join(dir, 'image');
    await writeFile(file, bytes);
    const digester = digestImage(file, bytes.length);
    const first = await digester.readTo(1 << 20, [{ offset: 4096, length: 8192 }]);
    const second = await digester.readTo(bytes.length, [{ offset: 1 << 20, length: (1 << 20) + 4096 }]);
    const whole = digester.sha256();
    const failure = await digester.readTo(bytes.length + 4096, []).catch((error: unknown) => error);
    await digester.close();
    assert.instance(failure, Error);
    assert.match((failure as Error).message, `${file} ends at byte ${bytes.length}`);
    assert.is(whole, sha256(bytes));
    assert.equal(first, [{ offset: 4096, length: 8192, sha256: sha256(bytes.subarray(4096, 12_288)) }]);
    assert.is(second[0]?.sha256, sha256(bytes.subarray(1 << 20, (2 << 20) + 4096)));
  } finally {
    await rm(dir, { recursive: true });
  }
});

test('a bmap states its own checksum over itself with zeros in its place', () => {
  const xml = bmapXml(40_960, [
    { offset: 0, length: 8192, sha256: 'a'.repeat(64) },
    { offset: 8192, length: 4096 },
    { offset: 16_384, length: 4096, sha256: 'b'.repeat(64) },
  ]);
  assert.match(xml, /<MappedBlocksCount> 4 </);
  assert.match(xml, /<BlocksCount> 10 </);
  assert.match(xml, `<Range chksum="${'a'.repeat(64)}"> 0-1 </Range>`);
  assert.match(xml, '<Range> 2 </Range>');
  assert.match(xml, `<Range chksum="${'b'.repeat(64)}"> 4 </Range>`);
  const stated = /<BmapFileChecksum> (\w+) </.exec(xml)?.[1] ?? '';
  assert.is(sha256(xml.replace(stated, '0'.repeat(64))), stated);
});

test.run();
