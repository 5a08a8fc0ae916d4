// Layout, partition table, ids and the header in the gap.
import { readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../../src/host/exec.ts';
import { encodeHeader, parseHeader, type ImageHeader } from '../../../src/image/header.ts';
import { imageIds } from '../../../src/image/ids.ts';
import { ALIGNMENT, contentOf, layoutFor } from '../../../src/image/layout.ts';
import { encodeMbr, parseMbr, partuuid } from '../../../src/image/mbr.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const MIB = 1 << 20;
const GAP = 1_064_960 * 512;

test('the layout is that of Raspberry Pi OS', () => {
  const { size, boot, root } = layoutFor({ bytes: 1000 * MIB, inodes: 30_000 }, 0x1a2b3c4d);
  assert.equal(boot, {
    number: 1,
    type: 12,
    start: 16_384,
    sectors: 1_048_576,
    label: 'bootfs',
    partuuid: '1a2b3c4d-01',
  });
  assert.equal([root.type, root.start, root.label, root.partuuid], [0x83, 1_064_960, 'rootfs', '1a2b3c4d-02']);
  assert.is(size, Math.ceil((GAP + 1400 * MIB) / ALIGNMENT) * ALIGNMENT);
  assert.is((root.start + root.sectors) * 512, size);
});

test('many small files get inodes enough', () => {
  const { root } = layoutFor({ bytes: 10 * MIB, inodes: 100_000 }, 1);
  assert.ok((root.sectors * 512) / 16_384 >= 100_000);
});

test('a stated size is taken, or refused with the least that works', () => {
  const content = { bytes: 300 * MIB, inodes: 1000 };
  assert.is(layoutFor(content, 1, 2000 * MIB + 1000).size, 2000 * MIB);
  let least = '';
  try {
    layoutFor(content, 1, 800 * MIB);
  } catch (error) {
    least = /at least (\d+) MiB/.exec((error as Error).message)?.[1] ?? '';
  }
  assert.is(layoutFor(content, 1, Number(least) * MIB).size, Number(least) * MIB);
  assert.throws(() => layoutFor(content, 1, Number(least) * MIB - 4096), /too small/);
});

test('content counts blocks and inodes, links once', () => {
  const base = { mode: 0, uid: 0, gid: 0, size: 0 };
  const entries = [
    { ...base, path: 'a', type: 'file' as const, size: 4097 },
    { ...base, path: 'b', type: 'hardlink' as const, target: 'a' },
    { ...base, path: 'c', type: 'symlink' as const, target: 'x'.repeat(59) },
    { ...base, path: 'd', type: 'symlink' as const, target: 'x'.repeat(60) },
    { ...base, path: 'e', type: 'directory' as const },
  ].map((entry) => ({ layer: 0, entry, source: entry }));
  assert.equal(contentOf(entries), { bytes: 4 * 4096 + 4 * 256, inodes: 4 });
});

test('an MBR is read as it was written', () => {
  const table = [
    { number: 1 as const, type: 0x0c, start: 16_384, sectors: 1_048_576 },
    { number: 2 as const, type: 0x83, start: 1_064_960, sectors: 123_977_728 },
  ];
  const sector = encodeMbr(0x00ab_cdef, table);
  assert.equal(parseMbr(sector), { diskId: 0x00ab_cdef, entries: table });
  assert.is(partuuid(0x00ab_cdef, 2), '00abcdef-02');
  assert.is(sector.toString('hex', 440, 444), 'efcdab00');
  // What sfdisk 2.38 writes for LBA 16384 with 255 heads and 63 sectors: cylinder 1, head 5, sector 5.
  assert.is(sector.toString('hex', 447, 450), '050501');
});

test('parted, with which Raspberry Pi OS grows its root, leaves the disk its id', async () => {
  const folder = temporaryFolder();
  const root = { number: 2 as const, type: 0x83, start: 1024, sectors: 1024 };
  const grown = async (sector: Buffer) => {
    const disk = path.join(folder, 'disk.img');
    await writeFile(disk, sector);
    await truncate(disk, 4096 * 512);
    await run(['parted', '--script', disk, 'unit', 's', 'resizepart', '2', '4095']);
    return parseMbr((await readFile(disk)).subarray(0, 512));
  };
  const table = encodeMbr(0x1a2b_3c4d, [root]);
  assert.equal(await grown(table), { diskId: 0x1a2b_3c4d, entries: [{ ...root, sectors: 4096 - 1024 }] });
  // It would not, were there nothing in front.
  assert.is.not((await grown(table.fill(0, 0, 440))).diskId, 0x1a2b_3c4d);
});

test('what is no MBR is refused', () => {
  assert.throws(() => parseMbr(Buffer.alloc(512)), /no MBR/);
  assert.throws(() => parseMbr(encodeMbr(1, [{ number: 1, type: 0xee, start: 1, sectors: 9 }])), /GPT/);
});

test('ids follow from the disk id', () => {
  const ids = imageIds(7);
  assert.equal(imageIds(7), ids);
  assert.is(ids.diskId, 7);
  assert.match(ids.rootUuid, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  const other = imageIds(8);
  for (const name of ['rootUuid', 'hashSeed', 'volumeId'] as const) assert.is.not(other[name], ids[name], name);
});

const HEADER: ImageHeader = {
  buildId: 'ab'.repeat(32),
  role: 'web',
  base: 'debian-trixie',
  slots: [{ name: 'user-data', offset: 9_457_664, length: 65_536 }],
  partitions: [],
  created: 1_700_000_000,
};

test('a header is read as it was written, whatever follows it', () => {
  const bytes = Buffer.concat([encodeHeader(HEADER), Buffer.alloc(5000, 7)]);
  assert.equal(parseHeader(bytes), HEADER);
});

test('no header is no error, every flipped bit of one is', () => {
  assert.is(parseHeader(Buffer.alloc(4096)), undefined);
  const good = encodeHeader(HEADER);
  for (let at = 8; at < good.length; at++) {
    if (at >= 48 && at < 64) continue;
    const bytes = Buffer.from(good);
    bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at);
    assert.throws(() => parseHeader(bytes), /damaged|version/, `byte ${at}`);
  }
});

test.run();
