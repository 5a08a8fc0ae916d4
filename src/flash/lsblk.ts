// Linux's list of block devices, as `lsblk --json` prints it.
import { z } from 'zod';
import type { Bus, Device } from './device.ts';

/** Columns that are asked for; util-linux 2.37 and later have all of them. */
export const COLUMNS = [
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
 * Every disk, partition, and what lies on them, disks first. `cardTypes`: `SD` or `MMC` by path, of what Linux calls mmcblk, as lsblk does
 * not tell. Throws ZodError for a text that is not of lsblk.
 */
export function parseLsblk(json: string, cardTypes: Record<string, string> = {}): Device[] {
  const { blockdevices } = listing.parse(JSON.parse(json));
  const devices = blockdevices.flatMap((top) => devicesOf(top, undefined, cardTypes));
  // What lies on two disks, as RAID does, is listed below each.
  const once = new Map(devices.map((device) => [device.path, device]));
  return [...once.values()]
    .filter(({ path }) => !LEFT_OUT.test(path))
    .sort((a, b) => Number(a.kind !== 'disk') - Number(b.kind !== 'disk'));
}

function devicesOf(found: Row, parent: Row | undefined, cardTypes: Record<string, string>): Device[] {
  // CD drives.
  if (found.type === 'rom') return [];
  const { path, size, rm, ro, children } = found;
  const all = [found, ...below(found)];
  const places = all.flatMap(({ mountpoints }) => mountpoints).filter((place) => place !== null);
  const kind = found.type === 'disk' || found.type === 'loop' ? 'disk' : found.type === 'part' ? 'part' : 'stack';
  const serial = found.serial?.trim();
  const device: Device = {
    path,
    kind,
    bus: busOf(found, cardTypes[path]),
    size,
    removable: rm,
    readOnly: ro,
    model: [vendorOf(found), found.model?.trim()].filter(Boolean).join(' '),
    ...(serial && { serial }),
    ...(parent && { parent: parent.path }),
    partitions: children.filter(({ type }) => type === 'part').map(partitionOf),
    mounts: [...new Set(places.filter((place) => place !== '[SWAP]'))],
    swap: places.includes('[SWAP]'),
    stacks: [
      ...new Set(
        below(found)
          .filter(isStack)
          .map(({ type, path: on }) => `${type} ${on}`),
      ),
    ],
  };
  return [device, ...children.flatMap((child) => devicesOf(child, found, cardTypes))];
}

const below = ({ children }: Row): Row[] => children.flatMap((child) => [child, ...below(child)]);
const isStack = ({ type }: Row): boolean => !['part', 'disk', 'loop', 'rom'].includes(type);

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
