// What an ext4 says of its format: feature bits by the names that e2fsprogs gives them, and which of them are read here.
import { PiimgError } from '../lib/errors.ts';

/** Bit by name: e2fsprogs, lib/e2p/feature.c; the kernel's Documentation/filesystems/ext4 (super). */
const COMPAT = {
  dir_prealloc: 0x1,
  imagic_inodes: 0x2,
  has_journal: 0x4,
  ext_attr: 0x8,
  resize_inode: 0x10,
  dir_index: 0x20,
  lazy_bg: 0x40,
  snapshot_bitmap: 0x100,
  sparse_super2: 0x200,
  fast_commit: 0x400,
  stable_inodes: 0x800,
  orphan_file: 0x1000,
};
const INCOMPAT = {
  compression: 0x1,
  filetype: 0x2,
  needs_recovery: 0x4,
  journal_dev: 0x8,
  meta_bg: 0x10,
  extent: 0x40,
  '64bit': 0x80,
  mmp: 0x100,
  flex_bg: 0x200,
  ea_inode: 0x400,
  dirdata: 0x1000,
  metadata_csum_seed: 0x2000,
  large_dir: 0x4000,
  inline_data: 0x8000,
  encrypt: 0x10000,
  casefold: 0x20000,
};
const RO_COMPAT = {
  sparse_super: 0x1,
  large_file: 0x2,
  huge_file: 0x8,
  uninit_bg: 0x10,
  dir_nlink: 0x20,
  extra_isize: 0x40,
  quota: 0x100,
  bigalloc: 0x200,
  metadata_csum: 0x400,
  replica: 0x800,
  'read-only': 0x1000,
  project: 0x2000,
  shared_blocks: 0x4000,
  verity: 0x8000,
  orphan_present: 0x10000,
};

/** Those of the incompatible ones that reading can cope with: the others change where or how things lie. */
const READABLE = ['filetype', 'needs_recovery', 'extent', '64bit', 'mmp', 'flex_bg', 'metadata_csum_seed', 'large_dir'];

/** Names of all features that a superblock sets, sorted; a bit without a name as `incompat:0x800`. */
export function featuresOf(superblock: Buffer): string[] {
  return [
    ...named(superblock.readUInt32LE(0x5c), 'compat', COMPAT),
    ...named(superblock.readUInt32LE(0x60), 'incompat', INCOMPAT),
    ...named(superblock.readUInt32LE(0x64), 'ro_compat', RO_COMPAT),
  ].sort();
}

/** Throws PiimgError naming the features that keep the ext4 at byte `start` from being read. */
export function requireReadable(superblock: Buffer, start: number): void {
  const unknown = named(superblock.readUInt32LE(0x60), 'incompat', INCOMPAT).filter((name) => !READABLE.includes(name));
  if (unknown.length === 0) return;
  throw new PiimgError(`The ext4 at byte ${start} has features piimg does not read: ${unknown.join(', ')}.`, {
    hint: 'An image is wanted whose root file system is made like that of Raspberry Pi OS: mke2fs -t ext4 without these.',
  });
}

function named(bits: number, word: string, names: Record<string, number>): string[] {
  return Array.from({ length: 32 }, (_, bit) => 2 ** bit)
    .filter((bit) => bits & bit)
    .map((bit) => Object.keys(names).find((name) => names[name] === bit) ?? `${word}:0x${bit.toString(16)}`);
}
