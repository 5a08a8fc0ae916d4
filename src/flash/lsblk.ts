// Linux's list of block devices, as `lsblk --json` prints it.
import * as z from 'zod';
import type { Bus, Device } from './device.ts';

/** Columns that are asked for; util-linux 2.37 and later have all of them. Without NAME there is no tree: nothing would lie on a disk. */
export const COLUMNS = [
  'NAME',
  'PATH',
  'TYPE',
  'SIZE',
  'RM',
  'RO',
  'TRAN',
  'VENDOR',
  'MODEL',
  'SERIAL',
  'SUBSYSTEMS',
  'FSTYPE',
  'LABEL',
  'MOUNTPOINTS',
];

/** util-linux before 2.33 prints numbers and flags as texts. */
const flag = z.union([z.boolean(), z.enum(['0', '1'])]).transform((value) => value === true || value === '1');
const number = z.coerce.number();
const text = z.string().nullish();

interface Row {
  path: string;
  type: string;
  size: number;
  rm: boolean;
  ro: boolean;
  tran?: string | null | undefined;
  vendor?: string | null | undefined;
  model?: string | null | undefined;
  serial?: string | null | undefined;
  subsystems?: string | null | undefined;
  fstype?: string | null | undefined;
  label?: string | null | undefined;
  mountpoints: (string | null)[];
  children: Row[];
}

const row: z.ZodType<Row> = z.lazy(() =>
  z.object({
    path: z.string(),
    type: z.string(),
    size: number,
    rm: flag,
    ro: flag,
    tran: text,
    vendor: text,
    model: text,
    serial: text,
    subsystems: text,
    fstype: text,
    label: text,
    mountpoints: z.array(z.string().nullable()).default([]),
    children: z.array(row).default([]),
  }),
);
const listing = z.object({ blockdevices: z.array(row) });

/** What is no place for an image and nobody takes for one. */
const LEFT_OUT = /^\/dev\/(zram|ram|fd|mtdblock|nbd)\d|^\/dev\/mmcblk\d+(boot\d|rpmb)/;

/**
 * Every disk, loops included. `cardTypes`: `SD` or `MMC` by path, of what Linux calls mmcblk, as lsblk does not tell. Throws ZodError or
 * SyntaxError for a text that is not of lsblk.
 */
export function parseLsblk(json: string, cardTypes: Record<string, string> = {}): Device[] {
  const { blockdevices } = listing.parse(JSON.parse(json));
  return blockdevices
    .filter(({ path, type }) => (type === 'disk' || type === 'loop') && !LEFT_OUT.test(path))
    .map((disk) => deviceOf(disk, cardTypes));
}

function deviceOf(disk: Row, cardTypes: Record<string, string>): Device {
  const { path, size, rm, ro } = disk;
  const all = [disk, ...below(disk)];
  const places = all.flatMap(({ mountpoints }) => mountpoints).filter((place) => place !== null);
  const serial = disk.serial?.trim();
  return {
    path,
    bus: busOf(disk, cardTypes[path]),
    size,
    removable: rm,
    readOnly: ro,
    model: [vendorOf(disk), disk.model?.trim()].filter(Boolean).join(' '),
    ...(serial && { serial }),
    partitions: partitionsOf(disk),
    mounts: [...new Set(places.filter((place) => place !== '[SWAP]'))],
    swap: places.includes('[SWAP]'),
    stacks: [
      ...new Set(
        below(disk)
          .filter(isStack)
          .map(({ type, path: on }) => `${type} ${on}`),
      ),
    ],
    members: [...new Set(all.flatMap(({ fstype }) => (fstype && MEMBER.test(fstype) ? [fstype] : [])))],
  };
}

/** File systems and the like that lie on several disks, as blkid names them. */
const MEMBER = /^(zfs_member|LVM2_member|linux_raid_member|bcachefs|bcache|drbd|ceph_bluestore)$|_raid_member$/;

const below = ({ children }: Row): Row[] => children.flatMap((child) => [child, ...below(child)]);
const isStack = ({ type }: Row): boolean => !['part', 'disk', 'loop', 'rom'].includes(type);

/** A stick may have a file system, or something encrypted, without any partition. */
function partitionsOf(disk: Row): Device['partitions'] {
  const parts = disk.children.filter(({ type }) => type === 'part');
  return (parts.length === 0 && (disk.fstype || disk.label) ? [disk] : parts).map(partitionOf);
}

function partitionOf({ path, size, label, fstype }: Row): Device['partitions'][number] {
  return { path, size, ...(label && { label }), ...(fstype && { filesystem: fstype }) };
}

/** Of SATA disks it is `ATA`, of virtio a number: no vendor's name. */
function vendorOf({ vendor }: Row): string | undefined {
  const name = vendor?.trim();
  return name === 'ATA' || name?.startsWith('0x') ? undefined : name;
}

function busOf({ path, type, tran, subsystems }: Row, cardType: string | undefined): Bus {
  if (type === 'loop') return 'loop';
  if (path.startsWith('/dev/mmcblk')) return cardType === 'MMC' ? 'emmc' : cardType === 'SD' ? 'sd' : 'other';
  if (tran === 'usb' || /\busb\b/.test(subsystems ?? '')) return 'usb';
  if (tran === 'nvme' || tran === 'sata') return tran;
  return /\bvirtio\b/.test(subsystems ?? '') ? 'virtio' : 'other';
}
