// A look-alike of Raspberry Pi OS with a few dozen files: small enough for tests that only take it apart. No root is needed.
import { link, mkdir, open, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../../src/host/exec.ts';
import { encodeMbr, SECTOR } from '../../src/image/mbr.ts';
import { temporaryFolder } from './temporary.ts';

const MIB = 1 << 20;
const BOOT_SECTORS = (36 * MIB) / SECTOR;
const ROOT_SECTORS = (24 * MIB) / SECTOR;

/** As Raspberry Pi OS has them (pi-gen, export-image/prerun.sh, with what mke2fs.conf of its builder adds). */
const FEATURES =
  'none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super,large_file,dir_nlink,extra_isize,metadata_csum';

/** cap_net_raw+ep, version 2 (linux/capability.h). */
const CAPABILITY = '0100000200200000000000000000000000000000';
/** user::rw-, user:1000:r--, group::r--, mask::r--, other::---: as getxattr(2) gives it. */
const ACL = '0200000001000600ffffffff02000400e803000004000400ffffffff10000400ffffffff20000000ffffffff';

const stanza = (name: string, version: string): string =>
  `Package: ${name}\nStatus: install ok installed\nArchitecture: arm64\nVersion: ${version}\nMaintainer: Nobody\nDescription: it\n`;

export const SYSTEM: Record<string, string> = {
  'etc/os-release': 'ID=debian\nVERSION_CODENAME=trixie\n',
  'etc/fstab':
    'proc            /proc           proc    defaults          0       0\n' +
    'PARTUUID=1a2b3c4d-01  /boot/firmware  vfat    defaults          0       2\n' +
    'PARTUUID=1a2b3c4d-02  /               ext4    defaults,noatime  0       1\n',
  'etc/machine-id': 'uninitialized\n',
  'etc/apt/sources.list.d/debian.sources':
    'Types: deb\nURIs: http://d.example/debian/\nSuites: trixie\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.pgp\n',
  'usr/share/keyrings/debian-archive-keyring.pgp': 'keys',
  'var/lib/dpkg/status': [stanza('base-files', '13.8'), stanza('dpkg', '1.22.21')].join('\n'),
  'usr/bin/cloud-init': 'no more than a look-alike',
  'etc/cloud/cloud.cfg.d/99_raspberry-pi.cfg':
    'datasource_list: [NoCloud, None]\ndatasource: { NoCloud: { seedfrom: "file:///boot/firmware" } }\n',
  'usr/bin/ping': '\x7fELF no more than a look-alike',
  'home/pi/.profile': 'umask 022\n',
};

export const BOOT: Record<string, string> = {
  'config.txt': 'auto_initramfs=1\n[all]\ndtparam=audio=on\n',
  'cmdline.txt': 'console=serial0,115200 console=tty1 root=PARTUUID=1a2b3c4d-02 rootfstype=ext4 rootwait resize\n',
  'kernel8.img': 'kernel',
  'overlays/a rather long name.dtbo': 'overlay',
};

/**
 * Times that are no whole seconds since 1970, as an inode has them: seconds, and nanoseconds above two bits that continue the seconds. The last
 * two are a quarter of a second before 1970, and in 1901.
 */
const TIMES: Record<string, [number, number]> = {
  '/': [1_700_000_000, 1 << 2],
  '/usr/bin/ping': [1_700_000_000, 999_999_999 * 4],
  '/etc/keys': [1_700_000_001, 123_456_789 * 4],
  '/dev/sda': [1_700_000_002, 500_000_000 * 4],
  '/home/pi/.profile': [0xffffffff, 750_000_000 * 4],
  '/etc/machine-id': [0x80000000, 0],
};

/** What mke2fs cannot take from a folder of an ordinary user. Whose ids end at 65,535: beyond those nothing can be unpacked. */
const script = (dir: string): string => `
cd /dev
mknod null c 1 3
mknod sda b 8 1
mknod pipe p
cd /
set_inode_field /dev/null mode 020666
set_inode_field /etc/acl mode 0100640
set_inode_field /etc/owned uid 1234
set_inode_field /etc/owned gid 60000
ea_set -f ${dir}/capability /usr/bin/ping security.capability
ea_set -f ${dir}/acl /etc/acl system.posix_acl_access
ea_set /etc/owned user.note yes
${Object.entries(TIMES)
  .map(([name, [low, extra]]) => `sif ${name} mtime @${low}\nsif ${name} mtime_extra ${extra}`)
  .join('\n')}
`;

/** Makes such an image, with `changes` to its system (undefined: without that file): the path of the raw file. `start` is the LBA of its boot partition. */
export async function tinyImage(
  changes: Record<string, string | Buffer | undefined> = {},
  { start = 16_384, boot = {} }: { start?: number; boot?: Record<string, string | Buffer> } = {},
): Promise<string> {
  const dir = temporaryFolder();
  const tree = await treeOf(path.join(dir, 'tree'), { ...SYSTEM, ...changes });
  const fat = await filesIn(path.join(dir, 'boot'), { ...BOOT, ...boot });
  await utimes(path.join(fat, 'kernel8.img'), 1_600_000_002, 1_600_000_002);
  await writeFile(path.join(dir, 'capability'), Buffer.from(CAPABILITY, 'hex'));
  await writeFile(path.join(dir, 'acl'), Buffer.from(ACL, 'hex'));
  await writeFile(path.join(dir, 'script'), script(dir));
  const image = path.join(dir, 'tiny.img');
  const rootStart = start + BOOT_SECTORS;
  const file = await open(image, 'w');
  const table = encodeMbr(0x1a2b3c4d, [
    { number: 1, type: 0x0c, start, sectors: BOOT_SECTORS },
    { number: 2, type: 0x83, start: rootStart, sectors: ROOT_SECTORS },
  ]);
  await file.write(table);
  await file.truncate((rootStart + ROOT_SECTORS) * SECTOR);
  await file.close();
  const at = `${image}?offset=${rootStart * SECTOR}`;
  const options = [
    '-O',
    FEATURES,
    '-I',
    '256',
    '-E',
    `offset=${rootStart * SECTOR},root_owner=0:0,nodiscard`,
    '-L',
    'rootfs',
    '-b',
    '4096',
    '-d',
    tree,
  ];
  const env = { MKE2FS_CONFIG: '/dev/null' };
  await run(['mke2fs', '-q', '-F', '-t', 'ext4', ...options, image, `${(ROOT_SECTORS * SECTOR) / 4096}`], { env });
  const { stderr } = await run(['debugfs', '-w', '-f', path.join(dir, 'script'), at]);
  if (/\n./.test(stderr)) throw new Error(stderr);
  const shape = ['-F', '32', '-s', '1', '-n', 'bootfs', '--offset', `${start}`, '-h', `${start}`];
  await run(['mkfs.vfat', ...shape, image, `${(BOOT_SECTORS * SECTOR) / 1024}`]);
  const copy = 'cd "$1" && mcopy -m -s -i "$2" * ::/';
  const fatEnv = { MTOOLS_SKIP_CHECK: '1', TZ: 'UTC' };
  await run(['sh', '-euc', copy, 'sh', fat, `${image}@@${start * SECTOR}`], { env: fatEnv });
  return image;
}

async function treeOf(tree: string, texts: Record<string, string | Buffer | undefined>): Promise<string> {
  await filesIn(tree, { ...texts, 'etc/owned': 'owned', 'etc/acl': 'acl', 'boot/firmware/': '' });
  // What a sandbox mounts things on, and merged /usr.
  for (const folder of ['dev', 'proc', 'run', 'tmp', 'usr/sbin', 'usr/lib'])
    await mkdir(path.join(tree, folder), { recursive: true });
  for (const name of ['bin', 'sbin', 'lib']) await symlink(`usr/${name}`, path.join(tree, name));
  await link(path.join(tree, 'usr/bin/ping'), path.join(tree, 'usr/bin/other name'));
  await symlink('../usr/share/keyrings', path.join(tree, 'etc/keys'));
  await utimes(path.join(tree, 'etc/fstab'), 1_600_000_000, 1_600_000_000);
  return tree;
}

/** Files by path; one that ends in a slash is a folder. */
async function filesIn(dir: string, texts: Record<string, string | Buffer | undefined>): Promise<string> {
  for (const [name, text] of Object.entries(texts)) {
    if (text === undefined) continue;
    const file = path.join(dir, name);
    await mkdir(name.endsWith('/') ? file : path.dirname(file), { recursive: true });
    if (!name.endsWith('/')) await writeFile(file, text);
  }
  return dir;
}
