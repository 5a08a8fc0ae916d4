// Features of an ext4 have the names that e2fsprogs gives them, and those that cannot be read are refused by name.
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../../src/host/exec.ts';
import { featuresOf, requireReadable } from '../../../src/image/ext4-features.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const INCOMPAT = 0x60;

/** A superblock with one bit of the incompatible features. */
function withBit(bit: number): Buffer {
  const superblock = Buffer.alloc(1024);
  superblock.writeUInt32LE(2 ** bit, INCOMPAT);
  return superblock;
}

for (const features of [
  'none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum,metadata_csum_seed,orphan_file',
  'none,meta_bg,mmp,ea_inode,large_dir,inline_data,encrypt,casefold,filetype,extent,sparse_super2,quota,project,bigalloc,verity,uninit_bg,stable_inodes',
]) {
  test(`named as dumpe2fs names them: ${features}`, async () => {
    const image = join(temporaryFolder(), 'image');
    await run(['mke2fs', '-q', '-F', '-t', 'ext4', '-I', '256', '-O', features, image, '16M'], {
      env: { MKE2FS_CONFIG: '/dev/null' },
    });
    const { stdout } = await run(['dumpe2fs', '-h', image]);
    const expected = (/^Filesystem features:\s+(.*)$/m.exec(stdout)?.[1] ?? '').split(/\s+/).sort();
    const file = await open(image);
    const { buffer } = await file.read(Buffer.alloc(1024), 0, 1024, 1024).finally(() => file.close());
    assert.equal(featuresOf(buffer), expected);
    assert.ok(expected.length > 10);
  });
}

// Bit by bit: undefined for what is read.
const REFUSED: (string | undefined)[] = [
  'compression',
  undefined,
  undefined,
  'journal_dev',
  'meta_bg',
  'incompat:0x20',
  undefined,
  undefined,
  undefined,
  undefined,
  'ea_inode',
  'incompat:0x800',
  'dirdata',
  undefined,
  undefined,
  'inline_data',
  'encrypt',
  'casefold',
  'incompat:0x40000',
];
for (let bit = 0; bit < 32; bit++) {
  const name = bit < REFUSED.length ? REFUSED[bit] : `incompat:0x${(2 ** bit).toString(16)}`;
  test(`bit ${bit}: ${name ?? 'read'}`, () => {
    if (name === undefined) return requireReadable(withBit(bit), 0);
    assert.throws(
      () => requireReadable(withBit(bit), 512),
      `The ext4 at byte 512 has features piimg does not read: ${name}.`,
    );
  });
}

test.run();
