// Block maps: as bmaptool makes them, as piimg does, as old ones are, and as they must not be.
import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseBmap } from '../../../src/flash/bmap.ts';
import { run } from '../../../src/host/exec.ts';
import { bmapXml } from '../../../src/image/bmap.ts';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';
import { sha256 } from '../../../src/lib/digest.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

function refusal(text: string): string {
  try {
    parseBmap(text, 'web.bmap');
  } catch (error) {
    assert.instance(error, PiimgError);
    const { message, exitCode, hint } = error as PiimgError;
    assert.is(exitCode, EXIT.usage);
    assert.match(hint ?? '', 'move it away');
    assert.is(message.indexOf('web.bmap: '), 0);
    return message;
  }
  throw new Error('it should have been refused');
}

const sum = (bytes: string | Buffer): { type: string; hex: string } => ({ type: 'sha256', hex: sha256(bytes) });

/** With its own checksum made anew. */
function signed(text: string, type = 'sha256'): string {
  const [, checksum = ''] = /<BmapFile(?:Checksum|SHA1)>\s*(\w+)/.exec(text) ?? [];
  const blank = '0'.repeat(createHash(type).digest('hex').length);
  const zeros = text.replace(checksum, blank);
  return zeros.replace(blank, createHash(type).update(zeros).digest('hex'));
}

test('what bmaptool makes of an image is what lies in it, the last block cut at its end', async () => {
  const file = path.join(temporaryFolder(), 'sparse.img');
  const size = 10_000_001;
  const fd = openSync(file, 'w');
  ftruncateSync(fd, size);
  writeSync(fd, Buffer.alloc(3 * 4096, 1), 0, 3 * 4096, 100 * 4096);
  writeSync(fd, 'one', 500 * 4096);
  writeSync(fd, 'end', size - 3);
  closeSync(fd);
  const map = `${file}.bmap`;
  await run(['bmaptool', 'create', '-o', map, file], { signal: AbortSignal.timeout(20_000) });
  const text = readFileSync(map, 'utf8');
  const { imageSize, blockSize, ranges } = parseBmap(text, 'sparse.bmap');
  assert.equal([imageSize, blockSize], [size, 4096]);
  const bytes = readFileSync(file);
  const lengths: [number, number][] = [
    [409_600, 12_288],
    [2_048_000, 4096],
    [9_998_336, 1665],
  ];
  assert.equal(
    ranges,
    lengths.map(([offset, length]) => ({ offset, length, sum: sum(bytes.subarray(offset, offset + length)) })),
  );
  assert.match(refusal(text.replace('100-102', '100-103')), 'its own checksum is another one');
  // Of comments too: a bit is a bit.
  assert.match(refusal(text.replace('Size of a block', 'Size of a clock')), 'its own checksum is another one');
});

const RANGES = [
  { offset: 0, length: 8192, sum: sum('a') },
  { offset: 16_384, length: 4096, sum: sum('b') },
];
const OURS = bmapXml(
  40_960,
  RANGES.map(({ offset, length, sum: { hex } }) => ({ offset, length, sha256: hex })),
);

test("piimg's own are read as they were meant", () => {
  assert.equal(parseBmap(OURS, 'web.bmap'), { imageSize: 40_960, blockSize: 4096, ranges: RANGES });
});

test('old formats: 1.4 is 2.0, 1.3 has sha1, 1.2 and older no checksums; other types are kept as such', () => {
  const ranges = RANGES.map(({ offset, length }) => ({ offset, length }));
  const typed = (type: string) => RANGES.map((range) => ({ ...range, sum: { ...range.sum, type } }));
  assert.equal(parseBmap(signed(OURS.replace('"2.0"', '"1.4"')), 'x').ranges, RANGES);
  const old = OURS.replace('"2.0"', '"1.3"')
    .replaceAll('BmapFileChecksum', 'BmapFileSHA1')
    .replaceAll('chksum=', 'sha1=')
    .replace(/.*ChecksumType.*\n/, '');
  assert.equal(parseBmap(signed(old, 'sha1'), 'x').ranges, typed('sha1'));
  assert.match(refusal(signed(old, 'sha1').replace('0-1', '0-2')), 'its own checksum');
  assert.match(refusal(old.replace(/.*BmapFileSHA1.*\n/, '')), 'lacks its checksum');
  const oldest = old
    .replace('"1.3"', '"1.2"')
    .replace(/.*BmapFileSHA1.*\n/, '')
    .replaceAll(/ sha1="\w*"/g, '');
  assert.equal(parseBmap(oldest, 'x').ranges, ranges);
  const other = signed(OURS.replace('> sha256 <', '> sha512 <'), 'sha512');
  assert.equal(parseBmap(other, 'x').ranges, typed('sha512'));
  assert.match(refusal(other.replace('0-1', '0-2')), 'its own checksum');
});

const wrong: Record<string, [string, string, RegExp]> = {
  'a format to come': ['"2.0"', '"3.0"', /format 3\.0/],
  'another file': ['<bmap ', '<html ', /no bmap file/],
  'an unknown checksum': ['> sha256 <', '> md17 <', /its own checksum/],
  'a size that is none': ['> 40960 <', '> many <', /<ImageSize> is missing or no number/],
  'no block size': ['BlockSize> 4096', 'BlockSize> 0', /no image of 40960/],
  'another count of blocks': ['> 10 <', '> 11 <', /11 blocks of 4096 bytes are no image of 40960/],
  'another count of mapped blocks': ['> 3 <', '> 4 <', /its ranges have 3 blocks/],
  'ranges one over another': ['> 4 <', '> 1-1 <', /range 1-1 is out of place/],
  'ranges out of order': ['> 0-1 <', '> 8-9 <', /range 4-4 is out of place/],
  'a range backwards': ['> 0-1 <', '> 1-0 <', /range 1-0 is out of place/],
  'a range beyond the end': ['> 4 <', '> 10 <', /range 10-10 is out of place/],
  'a range that is none': ['> 4 <', '> four <', /out of place/],
};
for (const [what, [good, bad, message]] of Object.entries(wrong)) {
  test(`refused: ${what}`, () => {
    const text = OURS.replace(good, bad);
    assert.is.not(text, OURS);
    assert.match(refusal(signed(text)), message);
  });
}

test.run();
