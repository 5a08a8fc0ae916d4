// Makes the two file systems inside the image file, at their offsets, with e2fsprogs, dosfstools and mtools.
import { hex32, type ImageIds } from './ids.ts';
import { EXT4 } from './layout.ts';
import type { Partition } from './manifest.ts';
import { SECTOR } from './mbr.ts';
import type { RunTool } from './run-tool.ts';

/** Where a file system goes, and what makes its bytes the same every time. */
export interface FileSystemInput {
  /** The image file, already of full size; the partition is all zeros, but where a file system is changed. */
  image: string;
  partition: Partition;
  ids: ImageIds;
  /** Seconds since 1970: every time stamp the tools would take from the clock. */
  sourceDateEpoch: number;
}

/**
 * What Raspberry Pi OS has (no huge_file, no 64bit), written out so that no mke2fs.conf matters and every e2fsck since
 * 1.43 and every kernel of the last ten years reads it: no orphan_file, no metadata_csum_seed.
 */
const FEATURES =
  'none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super,large_file,dir_nlink,' +
  'extra_isize,metadata_csum';

/** Makes the ext4 from a tar: files, owners, times and extended attributes come from there. */
export async function makeExt4(runTool: RunTool, input: FileSystemInput, tar: AsyncIterable<Buffer>): Promise<void> {
  const { image, partition, ids, sourceDateEpoch } = input;
  const options = [
    `offset=${partition.start * SECTOR}`,
    'root_owner=0:0',
    `hash_seed=${ids.hashSeed}`,
    // The file is new: nothing to discard, and its inode tables are zero already. Marking them so now spares the card
    // the kernel's background zeroing on first boot.
    'nodiscard',
    'assume_storage_prezeroed=1',
    'lazy_itable_init=0',
    'lazy_journal_init=0',
  ];
  const { block, inode, bytesPerInode, journal } = EXT4;
  const shape = `-t ext4 -O ${FEATURES} -b ${block} -I ${inode} -i ${bytesPerInode} -m 5 -J size=${journal >> 20}`;
  const names = ['-L', partition.label, '-U', ids.rootUuid];
  const blocks = `${(partition.sectors * SECTOR) / block}`;
  await feed(runTool, tar, image, [
    ...environment(sourceDateEpoch, 'MKE2FS_CONFIG=/dev/null'),
    ...['mke2fs', '-q', '-F'].concat(shape.split(' '), names),
    ...['-E', options.join(','), '-d', '-'].concat(image, blocks),
  ]);
}

/** Arguments: image, offset of the file system, time. The archive holds the commands as `commands`, and the files they name. */
const CHANGE_EXT4 = `
files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT
tar -x --no-same-owner -C "$files"
cd "$files"
# Under a name of our own: after a question mark debugfs reads options.
ln -s "$1" image
debugfs -w -f commands "image?offset=$2" >/dev/null 2>errors
# debugfs ends well whatever happened; its first line says its version.
if grep -v '^debugfs [0-9]' errors >&2; then exit 1; fi
`;

/** Changes an ext4 by commands for debugfs; `tar` holds them and what they name (CHANGE_EXT4). Times that they do not set become SOURCE_DATE_EPOCH. */
export async function changeExt4(runTool: RunTool, input: FileSystemInput, tar: AsyncIterable<Buffer>): Promise<void> {
  const { image, partition, sourceDateEpoch } = input;
  const tool = ['change-ext4', image, `${partition.start * SECTOR}`, `${sourceDateEpoch}`];
  await feed(runTool, tar, image, tool, `export SOURCE_DATE_EPOCH="$3" TZ=UTC\n${CHANGE_EXT4}`);
}

/**
 * Arguments: offset of the file system, time, mkfs.vfat's arguments as one word, image, blocks, then the files that come first. The
 * rest follows sorted, folder by folder.
 */
const MAKE_FAT = `
export LC_ALL=C.UTF-8 TZ=UTC MTOOLS_SKIP_CHECK=1 SOURCE_DATE_EPOCH="$2"
mkfs.vfat $3 "$4" "$5" >/dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Under a name of our own: mtools takes quotes and the like in a path for its own.
ln -s "$4" "$work/image"
disk=$work/image@@$1
shift 5
mkdir "$work/files"
tar -x --no-same-owner -C "$work/files"
cd "$work/files"
chmod -R u+rwX .
# As mke2fs does with those of the ext4.
find . -newermt "@$SOURCE_DATE_EPOCH" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
mcopy -m -i "$disk" "$@" ::/
rm -- "$@"
find . -type d | sort | while read -r folder; do
  [ "$folder" = . ] || mmd -i "$disk" "::$folder"
  set --
  for file in "$folder"/* "$folder"/.[!.]*; do
    if [ -f "$file" ]; then set -- "$@" "$file"; fi
  done
  if [ $# -gt 0 ]; then mcopy -m -i "$disk" "$@" "::$folder/"; fi
done
`;

/**
 * Makes the FAT32 from a tar whose paths start at its root; the files `first` (in the root) are written before all
 * others and therefore get contiguous clusters.
 */
export async function makeFat(
  runTool: RunTool,
  input: FileSystemInput,
  tar: AsyncIterable<Buffer>,
  first: string[],
): Promise<void> {
  const { image, partition, ids, sourceDateEpoch } = input;
  // Clusters of 4 KiB make every file begin at a multiple of 4 KiB of the card. --invariant also sets an id: -i comes after.
  const shape = `--invariant -F 32 -s 8 -n ${partition.label} -i ${hex32(ids.volumeId)}`;
  const place = `--offset ${partition.start} -h ${partition.start}`;
  const blocks = `${(partition.sectors * SECTOR) / 1024}`;
  const settings = [`${partition.start * SECTOR}`, `${sourceDateEpoch}`, `${shape} ${place}`, image, blocks];
  await feed(runTool, tar, image, ['make-fat', ...settings, ...first], MAKE_FAT);
}

/** Runs a tool on a stream of ours; when the stream fails, that is the error to tell, not the tool's broken input. */
async function feed(
  runTool: RunTool,
  tar: AsyncIterable<Buffer>,
  image: string,
  tool: string[],
  script?: string,
): Promise<void> {
  const failures: unknown[] = [];
  async function* watched(): AsyncGenerator<Buffer> {
    try {
      yield* tar;
    } catch (error) {
      failures.push(error);
      throw error;
    }
  }
  try {
    await runTool(tool, { input: watched(), writable: [image], ...(script === undefined ? {} : { script }) });
  } catch (error) {
    throw failures[0] ?? error;
  }
  if (failures.length > 0) throw failures[0];
}

function environment(sourceDateEpoch: number, ...more: string[]): string[] {
  return ['env', 'TZ=UTC', `SOURCE_DATE_EPOCH=${sourceDateEpoch}`, ...more];
}
