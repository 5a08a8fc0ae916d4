// Files of an ext4 as we read them are those it was made from.
import {
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  writeFile,
  lstat,
  link,
} from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../../src/host/exec.ts';
import { listExt4, readExt4 } from '../../../src/image/ext4-files.ts';
import { openExt4, type Ext4File } from '../../../src/image/ext4-inodes.ts';
import { readerOf, type ReadAt } from '../../../src/image/ranges.ts';
import { PiimgError } from '../../../src/lib/errors.ts';

/** Where the file system begins in the test's file: not at its start. */
const START = 8192;

/** As in the images of Raspberry Pi OS, and with what other images have. */
const FEATURES = 'has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super,large_file';
const USUAL = ['-O', `${FEATURES},dir_nlink,extra_isize,64bit,metadata_csum`, '-b', '4096', '-I', '256'];

/** What is hard to read: long links and names, holes, more extents than an inode holds, folders with an index. */
async function writeTree(dir: string): Promise<void> {
  await mkdir(path.join(dir, 'deep', 'a'.repeat(200)), { recursive: true });
  await writeFile(path.join(dir, 'deep', 'a'.repeat(200), 'b'.repeat(255)), 'deep');
  await writeFile(path.join(dir, 'empty'), '');
  await writeFile(path.join(dir, 'Grüße\nzwei'), 'name', { mode: 0o640 });
  await link(path.join(dir, 'empty'), path.join(dir, 'also empty'));
  for (const length of [1, 59, 60, 61, 1000]) await symlink('x'.repeat(length), path.join(dir, `link-${length}`));
  const holes = await open(path.join(dir, 'holes'), 'w', 0o4755);
  for (let i = 0; i < 20; i++) await holes.write(Buffer.alloc(4096, i + 1), 0, 4096, (2 * i + 1) * 8192);
  await holes.truncate(1_000_001);
  await holes.close();
  await mkdir(path.join(dir, 'many'));
  for (let i = 0; i < 700; i++) await writeFile(path.join(dir, 'many', `${'n'.repeat(40)}-${i}`), `${i}`);
}

/** Calls `work` with an ext4 of that tree and the folder it was made from. */
async function withExt4(
  options: string[],
  work: (read: ReadAt, tree: string, image: string) => Promise<void>,
): Promise<void> {
  const dir = await mkdtemp('/var/tmp/piimg-ext4-');
  const [tree, image] = [path.join(dir, 'tree'), path.join(dir, 'image')];
  try {
    await mkdir(tree);
    await writeTree(tree);
    const make = ['mke2fs', '-q', '-F', '-t', 'ext4', '-E', `offset=${START}`, '-d', tree, ...options, image, '24M'];
    await run(make, { env: { MKE2FS_CONFIG: '/dev/null' } });
    const script = path.join(dir, 'script');
    // One attribute that fits the inode, one that needs a block of its own.
    const attributes = `ea_set /holes security.capability cap\nea_set /empty user.long ${'v'.repeat(400)}\n`;
    // Where an inode has room for it: an eighth of a second.
    await writeFile(script, `${attributes}sif /holes mtime_extra ${125_000_000 * 4}\n`);
    await run(['debugfs', '-w', '-f', script, `${image}?offset=${START}`]);
    const handle = await open(image);
    await work(readerOf(handle), tree, image).finally(() => handle.close());
  } finally {
    await rm(dir, { recursive: true });
  }
}

async function listed(read: ReadAt): Promise<Map<string, Ext4File>> {
  const files = new Map<string, Ext4File>();
  for await (const file of listExt4(read, await openExt4(read, START))) files.set(file.path, file);
  files.delete('lost+found');
  return files;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

for (const options of [
  USUAL,
  ['-O', FEATURES, '-b', '1024', '-I', '128'],
  ['-O', `${FEATURES},64bit`, '-b', '2048', '-I', '512'],
]) {
  test(`mke2fs ${options.join(' ')}: names, inodes, attributes and content`, () =>
    withExt4(options, async (read, tree) => {
      const files = await listed(read);
      const names = (await readdir(tree, { recursive: true })).sort();
      assert.equal([...files.keys()].sort(), ['', ...names].sort());
      for (const name of names) {
        const { path: _, ranges, xattrs, inode: __, ...found } = files.get(name) as Ext4File;
        const info = await lstat(path.join(tree, name));
        const type = info.isSymbolicLink() ? 'symlink' : info.isDirectory() ? 'directory' : 'file';
        assert.equal(
          { ...found, ...(type === 'directory' && { size: 0 }) },
          {
            type,
            links: info.nlink,
            mode: info.mode & 0o7777,
            uid: info.uid,
            gid: info.gid,
            size: type === 'directory' ? 0 : info.size,
            mtime: Math.floor(info.mtimeMs / 1000),
            nanoseconds: name === 'holes' && !options.includes('128') ? 125_000_000 : 0,
            ...(type === 'symlink' && { target: await readlink(path.join(tree, name)) }),
          },
          name,
        );
        if (type !== 'file') continue;
        const pieces: Buffer[] = [];
        for await (const piece of readExt4(read, { ranges })) pieces.push(piece);
        assert.ok(Buffer.concat(pieces).equals(await readFile(path.join(tree, name))), name);
        const expected: Record<string, Record<string, string>> = {
          holes: { 'security.capability': base64('cap') },
          empty: { 'user.long': base64('v'.repeat(400)) },
          'also empty': { 'user.long': base64('v'.repeat(400)) },
        };
        assert.equal(xattrs, expected[name], name);
      }
    }));
}

async function refusal(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.catch((caught: unknown) => caught);
  assert.instance(error, PiimgError);
  return (error as PiimgError).message;
}

test('what is no ext4, has features we do not read, was in use, or is damaged, is refused', () =>
  withExt4(USUAL, async (read, _tree, image) => {
    assert.match(await refusal(openExt4(async (_at, length) => Buffer.alloc(length), 0)), 'no ext4');
    /** The same file system with other bytes at a place of its superblock. */
    const changed =
      (at: number, bit: number): ReadAt =>
      async (offset, length) => {
        const bytes = await read(offset, length);
        const place = START + 1024 + at - offset;
        if (place >= 0 && place < length) bytes.writeUInt8(bytes.readUInt8(place) | bit, place);
        return bytes;
      };
    assert.match(await refusal(openExt4(changed(0x60, 0x04), START)), 'journal holds changes');
    const told: string[] = [];
    await openExt4(changed(0x60, 0x04), START, ({ message }) => told.push(message));
    assert.match(told.join(), 'journal holds changes');
    assert.match(await refusal(openExt4(changed(0x61, 0x80), START)), 'features piimg does not read');
    const { stdout } = await run(['debugfs', '-R', 'bmap /many 0', `${image}?offset=${START}`]);
    const many = START + Number(stdout.trim()) * 4096;
    const torn: ReadAt = async (offset, length) =>
      offset === many ? Buffer.alloc(length, 0xff) : read(offset, length);
    assert.match(await refusal(listed(torn)), 'damaged at /many');
  }));

test.run();
