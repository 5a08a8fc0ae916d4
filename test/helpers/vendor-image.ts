// Small images as other people make them, of a few MB: a partition table, a FAT and an ext4 of given files.
import { mkdir, open, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from '../../src/host/exec.ts';
import { SECTOR } from '../../src/image/mbr.ts';
import { temporaryFolder } from './temporary.ts';

/** Content by path; `{ link }` is a symbolic link. */
export type Tree = Record<string, string | Buffer | { link: string }>;

export interface VendorImage {
  table?: 'mbr' | 'gpt';
  diskId?: string;
  /** LBA of the boot partition, and its sectors. */
  start?: number;
  sectors?: number;
  /** Options of mkfs.vfat. */
  fat?: string[];
  boot: Tree;
  /** Options of mke2fs. */
  ext4?: string[];
  root: Tree;
  /** MiB of the root partition. */
  rootSize?: number;
  /** Leaves the root partition without a file system. */
  noExt4?: boolean;
  /** Where it is made, else a new folder; what lies in `root` there goes onto it as well. */
  folder?: string;
  name?: string;
}

export interface MadeImage {
  file: string;
  /** Bytes where the partitions begin. */
  bootStart: number;
  rootStart: number;
}

/** As pi-gen makes it, but for sizes. */
const EXT4 = [
  '-O',
  'none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super,large_file,dir_nlink,extra_isize,metadata_csum',
  '-I',
  '256',
  '-b',
  '4096',
  '-L',
  'rootfs',
];
const FAT = ['-F', '16', '-s', '1', '-n', 'bootfs'];

/** Makes the image, `vendor.img` if nothing else is said. */
export async function makeVendorImage(wanted: VendorImage): Promise<MadeImage> {
  const { table = 'mbr', diskId = '1a2b3c4d', start = 16_384, sectors = 16_384, rootSize = 12 } = wanted;
  const { folder = temporaryFolder(), name = 'vendor.img' } = wanted;
  const file = join(folder, name);
  const rootStart = start + sectors;
  const rootSectors = rootSize * 2048;
  const disk = await open(file, 'w');
  // A GPT has its second header at the end.
  await disk.truncate((rootStart + rootSectors + 64) * SECTOR);
  await disk.close();
  const types = table === 'mbr' ? ['c', '83'] : ['EBD0A0A2-B9E5-4433-87C0-68B6B72699C7', 'L'];
  const head = table === 'mbr' ? `label: dos\nlabel-id: 0x${diskId}` : 'label: gpt';
  const input = `${head}\n${start},${sectors},${types[0]}\n${rootStart},${rootSectors},${types[1]}\n`;
  await run(['sfdisk', '--quiet', '--no-reread', file], { input });
  await makeFat(join(folder, 'boot'), file, { start, sectors, options: wanted.fat ?? FAT, tree: wanted.boot });
  if (!wanted.noExt4) {
    const tree = await writeTree(join(folder, 'root'), wanted.root);
    const options = [...(wanted.ext4 ?? EXT4), '-E', `offset=${rootStart * SECTOR},root_owner=0:0`];
    await run(['mke2fs', '-q', '-F', '-t', 'ext4', ...options, '-d', tree, file, `${rootSize}M`], {
      env: { MKE2FS_CONFIG: '/dev/null' },
    });
  }
  return { file, bootStart: start * SECTOR, rootStart: rootStart * SECTOR };
}

async function makeFat(
  folder: string,
  image: string,
  { start, sectors, options, tree }: { start: number; sectors: number; options: string[]; tree: Tree },
): Promise<void> {
  await run(['mkfs.vfat', ...options, '--offset', `${start}`, image, `${(sectors * SECTOR) / 1024}`]);
  await writeTree(folder, tree);
  const names = [...new Set(Object.keys(tree).map((path) => join(folder, path.split('/')[0] ?? '')))];
  if (names.length > 0)
    await run(['mcopy', '-s', '-i', `${image}@@${start * SECTOR}`, ...names, '::'], {
      env: { MTOOLS_SKIP_CHECK: '1' },
    });
}

async function writeTree(folder: string, tree: Tree): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const [path, content] of Object.entries(tree)) {
    const place = join(folder, path);
    await mkdir(dirname(place), { recursive: true });
    if (typeof content === 'object' && 'link' in content) await symlink(content.link, place);
    else await writeFile(place, content);
  }
  return folder;
}
