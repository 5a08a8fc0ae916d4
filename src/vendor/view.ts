// An image or a card that somebody else made, as it is looked at: its layout, and the files of its two file systems, read only.
import type { ByteRange } from '../image/ranges.ts';

/** How its first boot is told who the machine is. */
export type InitFormat =
  /** Seed slots of an image that piimg has built. */
  | 'piimg'
  /** cloud-init with the modules of Raspberry Pi, or as it is: `user-data`, `network-config`, `meta-data` on the boot partition. */
  | 'cloudinit-rpi'
  | 'cloudinit'
  /** A script that the kernel's command line names: `firstrun.sh`. */
  | 'systemd'
  /** `custom.toml`, read by the `firstboot` of bookworm. */
  | 'custom-toml'
  | 'rpi-preseed'
  /** `userconf.txt`, `ssh` and, long ago, `wpa_supplicant.conf`. */
  | 'userconf'
  | 'none';

/** Files of one file system, by path without leading slash. Symbolic links in it are followed, below its own root. */
export interface Files {
  /** Undefined where there is no such file. Throws PiimgError for one that is longer than `max` bytes (by default 1 MiB). */
  read(path: string, max?: number): Promise<Buffer | undefined>;
  /** Names in a folder, sorted; empty where there is none. */
  list(path: string): Promise<string[]>;
}

export interface FatFacts extends ByteRange {
  kind: 'fat';
  partition: number;
  label: string;
  /** 12, 16 or 32. */
  bits: number;
  clusterBytes: number;
}

export interface Ext4Facts extends ByteRange {
  kind: 'ext4';
  partition: number;
  label: string;
  uuid: string;
  blockBytes: number;
  /** As e2fsprogs calls them, `metadata_csum`; sorted. */
  features: string[];
}

export interface Partition {
  number: number;
  /** LBA and length in sectors of 512 bytes. */
  start: number;
  sectors: number;
  /** Of an MBR: `0x0c`; of a GPT: the type's GUID. */
  type: string;
  partuuid: string;
}

export interface Layout {
  table: 'mbr' | 'gpt';
  /** Eight hex digits of an MBR, the GUID of a GPT. */
  diskId: string;
  /** Bytes of file or device. */
  size: number;
  partitions: Partition[];
}

/** Files of a system, with its links. */
export interface LinkedFiles extends Files {
  /** Where the symbolic link at that path leads, as it is written there; undefined where there is none. */
  link(path: string): Promise<string | undefined>;
}

export interface ImageView {
  layout: Layout;
  /** The partition that the firmware reads, and what told so. */
  boot: { facts: FatFacts; files: Files; why: string };
  root: { facts: Ext4Facts; files: LinkedFiles; why: string };
  /** What it says of itself where piimg has built it. */
  piimg?: { role: string; base: string; buildId: string; firstBoot?: 'own'; users?: string[] };
  /** What is odd about it, though it can be read: that it was in use when it was copied, say. */
  notes: string[];
}
