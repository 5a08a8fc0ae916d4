// The tree of an ext4 is the same, whatever the file system was made like; each fact of it counts.
import { chmod, link, mkdir, open, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../../src/host/exec.ts';
import { findExt4, namesOf, readExt4 } from '../../../src/image/ext4-files.ts';
import { openExt4, type Ext4Volume } from '../../../src/image/ext4-inodes.ts';
import { treeOfExt4 } from '../../../src/image/ext4-tree.ts';
import type { ReadAt } from '../../../src/image/ranges.ts';
import { encodeHeader, endOfArchive, padding, type TarHeader } from '../../../src/lib/tar.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { digestOfTree } from '../../helpers/tree-digest.ts';

const MODERN = 'has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super,large_file,dir_nlink';
const FORMATS: Record<string, string[]> = {
  'as Raspberry Pi OS makes it': ['-O', `none,${MODERN},extra_isize,metadata_csum`, '-b', '4096', '-I', '256'],
  'as Debian 13 makes it': [
    '-O',
    `none,${MODERN},extra_isize,64bit,metadata_csum,metadata_csum_seed,orphan_file,huge_file`,
    '-b',
    '4096',
    '-I',
    '256',
  ],
  '1 KiB blocks, attributes in blocks of their own': ['-O', `none,${MODERN}`, '-b', '1024', '-I', '128'],
  '1 KiB blocks, with checksums': ['-O', `none,${MODERN},64bit,metadata_csum`, '-b', '1024', '-I', '256'],
  'block maps, as ext3 has them': ['-O', 'none,has_journal,ext_attr,filetype,sparse_super', '-b', '1024', '-I', '128'],
};

/** cap_net_raw+ep with a root id, version 3 (linux/capability.h): no text in any encoding. */
const CAPABILITY = '01000003002000000000000000000000ff000000';
/** user::rw-, user:1000:r--, group::r--, mask::r--, other::---: as getxattr(2) gives it. */
const ACL = '0200000001000600ffffffff02000400e803000004000400ffffffff10000400ffffffff20000000ffffffff';

async function makeTree(): Promise<string> {
  const tree = join(temporaryFolder(), 'tree');
  await mkdir(join(tree, 'etc/deep'), { recursive: true });
  await writeFile(join(tree, 'etc/zwei'), 'two');
  // Whoever is not root loses the bit by writing.
  await chmod(join(tree, 'etc/zwei'), 0o4750);
  await writeFile(join(tree, 'etc/acl'), 'acl');
  await writeFile(join(tree, 'etc/deep/ping'), 'ping');
  await link(join(tree, 'etc/deep/ping'), join(tree, 'a second name'));
  await symlink('../etc/deep', join(tree, 'etc/short'));
  await symlink(`/${'./'.repeat(60)}etc/deep/ping`, join(tree, 'etc/long'));
  await symlink('loop', join(tree, 'loop'));
  const holes = await open(join(tree, 'holes'), 'w');
  for (const at of [0, 20_000, 300_000, 2_000_000]) await holes.write(Buffer.alloc(5000, at / 1000 + 1), 0, 5000, at);
  await holes.truncate(3_000_001);
  await holes.close();
  return tree;
}

/** What mke2fs cannot take from a folder of an ordinary user. `more` is the one thing that differs. */
const script = (dir: string, more = ''): string => `
cd /etc
mknod null c 1 3
mknod far c 300 7000
mknod sda b 8 1
mknod pipe p
cd /
set_inode_field /etc/far mode 020620
set_inode_field /etc/zwei uid 70000
set_inode_field /etc/zwei gid 1234
ea_set -f ${dir}/capability /etc/deep/ping security.capability
ea_set -f ${dir}/acl /etc/acl system.posix_acl_access
ea_set /etc/zwei user.long ${'v'.repeat(300)}
${more}
`;

interface Made {
  image: string;
  read: ReadAt;
  volume: Ext4Volume;
}

async function makeExt4(tree: string, format: string[], more?: string): Promise<Made> {
  const dir = temporaryFolder();
  const image = join(dir, 'image');
  await writeFile(join(dir, 'capability'), Buffer.from(CAPABILITY, 'hex'));
  await writeFile(join(dir, 'acl'), Buffer.from(ACL, 'hex'));
  await writeFile(join(dir, 'script'), script(dir, more));
  const env = { MKE2FS_CONFIG: '/dev/null' };
  await run(['mke2fs', '-q', '-F', '-t', 'ext4', '-N', '6000', '-d', tree, ...format, image, '24M'], { env });
  const { stderr } = await run(['debugfs', '-w', '-f', join(dir, 'script'), image]);
  assert.is(stderr.split('\n').slice(1).join(''), '', stderr);
  return { image, ...(await opened(image)) };
}

async function opened(image: string): Promise<Omit<Made, 'image'>> {
  const bytes = await readFile(image);
  const read: ReadAt = async (offset, length) => {
    if (offset + length > bytes.length) throw new RangeError('beyond the end');
    return Buffer.from(bytes.subarray(offset, offset + length));
  };
  return { read, volume: await openExt4(read, 0) };
}

const digest = ({ read, volume }: Pick<Made, 'read' | 'volume'>): Promise<string> =>
  digestOfTree(treeOfExt4(read, volume));

async function headers({ read, volume }: Made): Promise<Map<string, TarHeader>> {
  const found = new Map<string, TarHeader>();
  for await (const { header } of treeOfExt4(read, volume)) found.set(header.path, header);
  return found;
}

const tree = await makeTree();
const made = new Map<string, Made>();
for (const [title, format] of Object.entries(FORMATS)) {
  test(`what debugfs was told is read: ${title}`, async () => {
    const ext4 = await makeExt4(tree, format);
    made.set(title, ext4);
    const found = await headers(ext4);
    const names = [
      '',
      'a second name',
      'etc',
      'etc/acl',
      'etc/deep',
      'etc/deep/ping',
      'etc/far',
      'etc/long',
      'etc/null',
    ];
    assert.equal([...found.keys()], [...names, 'etc/pipe', 'etc/sda', 'etc/short', 'etc/zwei', 'holes', 'loop']);
    const of = (name: string): TarHeader => found.get(name) as TarHeader;
    assert.equal([of('etc/null').type, of('etc/null').device], ['character', [1, 3]]);
    assert.equal([of('etc/far').type, of('etc/far').device], ['character', [300, 7000]]);
    assert.equal([of('etc/sda').type, of('etc/sda').device, of('etc/pipe').type], ['block', [8, 1], 'fifo']);
    assert.equal([of('etc/zwei').uid, of('etc/zwei').gid, of('etc/zwei').mode], [70_000, 1234, 0o4750]);
    assert.equal([of('etc/deep/ping').type, of('etc/deep/ping').target], ['hardlink', 'a second name']);
    const hex = (name: string, key: string) => Buffer.from(of(name).xattrs?.[key] ?? '', 'base64').toString('hex');
    assert.is(hex('a second name', 'security.capability'), CAPABILITY);
    assert.is(hex('etc/acl', 'system.posix_acl_access'), ACL);
    assert.is(hex('etc/zwei', 'user.long'), Buffer.from('v'.repeat(300)).toString('hex'));
  });
}

test('the same tree has the same digest in every format', async () => {
  const digests = await Promise.all([...made.values()].map(digest));
  assert.is(digests.length, Object.keys(FORMATS).length);
  assert.is(new Set(digests).size, 1);
});

for (const change of [
  'set_inode_field /etc/zwei mode 0100755',
  'set_inode_field /etc/zwei uid 70001',
  'ea_set /etc/zwei user.long short',
  'ea_rm /a\\ second\\ name security.capability',
  'set_inode_field /etc/far block[1] 0x1b12c59',
  'unlink /loop',
  'symlink /more there',
  'set_inode_field /holes size 3000002',
]) {
  test(`another digest: ${change}`, async () => {
    const [format = []] = Object.values(FORMATS);
    const [first] = made.values();
    assert.ok(first);
    const usual = change.replace('/a\\ second\\ name', '/etc/deep/ping');
    assert.is.not(await digest(await makeExt4(tree, format, usual)), await digest(first));
  });
}

test('one byte of a file makes another digest', async () => {
  const [first] = made.values();
  assert.ok(first);
  const file = await findExt4(first.read, first.volume, 'holes');
  const place = file?.ranges[0]?.offset ?? 0;
  const read: ReadAt = async (offset, length) => {
    const bytes = await first.read(offset, length);
    if (place >= offset && place < offset + length)
      bytes.writeUInt8(bytes.readUInt8(place - offset) ^ 1, place - offset);
    return bytes;
  };
  assert.is.not(await digest({ read, volume: await openExt4(read, 0) }), await digest(first));
});

test('as an archive, it is what tar lists', async () => {
  const [first] = made.values();
  assert.ok(first);
  const pieces: Buffer[] = [];
  for await (const { header, content } of treeOfExt4(first.read, first.volume)) {
    pieces.push(encodeHeader(header));
    for await (const piece of content()) pieces.push(piece);
    pieces.push(Buffer.alloc(padding(header.size)));
  }
  const list = ['tar', '--list', '--verbose', '--numeric-owner', '--quoting-style=literal'];
  const { stdout } = await run(list, { input: Buffer.concat([...pieces, endOfArchive()]) });
  assert.match(stdout, /^crw--w---- 0\/0 +300,7000 .* etc\/far$/m);
  assert.match(stdout, /^b\S+ 0\/0 +8,1 .* etc\/sda$/m);
  assert.match(stdout, /^p.* etc\/pipe$/m);
  assert.match(stdout, /^-rwsr-x--- 70000\/1234 +3 .* etc\/zwei$/m);
  assert.match(stdout, /^h.* etc\/deep\/ping link to a second name$/m);
});

test('a file is found by its path, through links', async () => {
  for (const { read, volume } of made.values()) {
    const text = async (path: string): Promise<string | undefined> => {
      const file = await findExt4(read, volume, path);
      if (file === undefined) return undefined;
      const pieces: Buffer[] = [];
      for await (const piece of readExt4(read, file)) pieces.push(piece);
      return Buffer.concat(pieces).toString();
    };
    assert.equal(await Promise.all(['etc/short/ping', '/etc/long', 'etc/../../etc/short/../zwei'].map(text)), [
      'ping',
      'ping',
      'two',
    ]);
    assert.equal(await Promise.all(['etc/no', 'etc/zwei/x', 'no/../etc/zwei'].map(text)), [
      undefined,
      undefined,
      undefined,
    ]);
    assert.is((await findExt4(read, volume, 'etc/short', false))?.target, '../etc/deep');
    const said = await findExt4(read, volume, 'loop').then(
      () => 'found',
      (error: Error) => error.message,
    );
    assert.match(said, 'in circles');
  }
});

test('five thousand names in a folder with an index are all there', async () => {
  const many = join(temporaryFolder(), 'tree');
  await mkdir(join(many, 'many'), { recursive: true });
  const names = Array.from({ length: 5000 }, (_, i) => `${'n'.repeat(30)}-${i}`);
  for (const name of names) await writeFile(join(many, 'many', name), '');
  const image = join(temporaryFolder(), 'image');
  await run(['mke2fs', '-q', '-F', '-t', 'ext4', '-N', '6000', '-b', '1024', '-d', many, image, '24M']);
  // mke2fs makes no index; 1: it was made.
  await run(['e2fsck', '-fyD', image], { okCodes: [0, 1] });
  const { stdout } = await run(['debugfs', '-R', 'htree /many', image]);
  assert.match(stdout, 'Indirect levels: ');
  const { read, volume } = await opened(image);
  const folder = await findExt4(read, volume, 'many');
  assert.ok(folder);
  assert.equal(
    (await namesOf(read, folder)).map(({ name }) => name),
    [...names].sort(),
  );
});

test.run();
