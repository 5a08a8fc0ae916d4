// macOS' list of disks, as diskutil prints it, and of disk images, as hdiutil does.
import { parse } from 'fast-plist';
import * as z from 'zod';
import type { Bus, Device } from './device.ts';

/** A property list as a value. Throws an Error for a text that is none, or only the beginning of one. */
export function readPlist(text: string): unknown {
  // fast-plist takes what breaks off between two values for the whole.
  if (!/<\/plist>\s*$/.test(text)) throw new SyntaxError('not a property list, or not all of it');
  return parse(text);
}

const place = z.string().optional();
const volume = z.object({
  MountPoint: place,
  MountedSnapshots: z.array(z.object({ SnapshotMountPoint: place })).default([]),
});
const partition = z.object({
  DeviceIdentifier: z.string(),
  Content: z.string().default(''),
  Size: z.number().default(0),
  VolumeName: z.string().optional(),
  MountPoint: place,
});
const whole = partition.extend({
  Partitions: z.array(partition).default([]),
  APFSVolumes: z.array(volume).default([]),
  APFSPhysicalStores: z.array(z.object({ DeviceIdentifier: z.string() })).default([]),
});
const listing = z.object({ AllDisksAndPartitions: z.array(whole) });

const info = z.object({
  /** Missing where diskutil tells of an error instead. */
  DeviceIdentifier: z.string().optional(),
  BusProtocol: z.string().default(''),
  MediaName: z.string().default(''),
  DeviceTreePath: z.string().default(''),
  RemovableMedia: z.boolean().default(false),
  WritableMedia: z.boolean().default(true),
  VirtualOrPhysical: z.string().default(''),
  RAIDMaster: z.boolean().default(false),
  CoreStoragePVs: z.array(z.object({ CoreStoragePVDisk: z.string() })).default([]),
});

type Whole = z.infer<typeof whole>;
type Info = z.infer<typeof info>;

export interface MacDisks {
  /** Disks and disk images; no APFS container, CoreStorage volume or RAID set: those are on their disks. */
  devices: Device[];
  /** The disks that a device like `/dev/disk3s1s1` lies on, by path. */
  disksBelow: (device: string) => string[];
}

/** `disk0` and so on of `diskutil list -plist`: what there is to ask `diskutil info` about. Throws ZodError. */
export const wholeDisks = (list: unknown): string[] =>
  listing.parse(list).AllDisksAndPartitions.map(({ DeviceIdentifier }) => DeviceIdentifier);

/**
 * `list`: of `diskutil list -plist`; `infos`: of `diskutil info -plist DISK` by `disk0` and so on. A disk without an info, as it was pulled
 * out meanwhile, is no device. Throws ZodError for what is not of diskutil.
 */
export function parseDiskutil(list: unknown, infos: Record<string, unknown>): MacDisks {
  const wholes = listing.parse(list).AllDisksAndPartitions;
  const told = (disk: Whole): Info | undefined => {
    const one = info.optional().parse(infos[disk.DeviceIdentifier]);
    return one?.DeviceIdentifier === undefined ? undefined : one;
  };
  const stores = new Map(wholes.map((disk) => [disk.DeviceIdentifier, storesOf(disk, told(disk), wholes)]));
  const below = (id: string, seen: string[] = []): string[] => {
    const on = stores.get(id) ?? [];
    if (on.length === 0) return [id];
    return seen.includes(id) ? [] : on.flatMap((store) => below(wholeOf(store), [...seen, id]));
  };
  const devices = wholes.flatMap((disk) => {
    const itself = told(disk);
    const id = disk.DeviceIdentifier;
    if (itself === undefined || !isDisk(itself, stores.get(id) ?? [])) return [];
    const above = wholes.filter((other) => below(other.DeviceIdentifier).includes(id));
    return [deviceOf(disk, itself, above)];
  });
  const disksBelow = (device: string): string[] => [...new Set(below(wholeOf(device)).map((id) => `/dev/${id}`))];
  return { devices, disksBelow };
}

/** `disk3` of `/dev/disk3s1s1`, or of the raw `/dev/rdisk3s1`. */
const wholeOf = (device: string): string => /^(?:\/dev\/)?r?(disk\d+)/.exec(device)?.[1] ?? device;

/** The partitions and disks that a disk of macOS' own making lies on; none for real ones. */
function storesOf(disk: Whole, told: Info | undefined, wholes: Whole[]): string[] {
  const raid = told?.RAIDMaster === true ? wholes.flatMap(({ Partitions }) => Partitions).filter(isRaid) : [];
  return [
    ...disk.APFSPhysicalStores.map(({ DeviceIdentifier }) => DeviceIdentifier),
    ...(told?.CoreStoragePVs ?? []).map(({ CoreStoragePVDisk }) => CoreStoragePVDisk),
    // It names its members by other ids than the list does: they may be any, and none may be written to.
    ...raid.map(({ DeviceIdentifier }) => DeviceIdentifier),
  ];
}

const isRaid = ({ Content }: { Content: string }): boolean => Content === 'Apple_RAID';

/** Apple's own SSDs are neither physical nor virtual but `Unknown`. */
const isDisk = (told: Info, stores: string[]): boolean =>
  stores.length === 0 && !told.RAIDMaster && (told.VirtualOrPhysical !== 'Virtual' || busOf(told) === 'loop');

function deviceOf(disk: Whole, told: Info, above: Whole[]): Device {
  const mounts = [...new Set(above.flatMap(placesOf))];
  const several = above.map((one) => one.APFSPhysicalStores).filter((on) => on.length > 1);
  const contents = [disk, ...disk.Partitions].map(({ Content }) => CONTENTS[Content] ?? Content);
  return {
    path: `/dev/${disk.DeviceIdentifier}`,
    bus: busOf(told),
    size: disk.Size,
    removable: told.RemovableMedia,
    readOnly: !told.WritableMedia,
    model: told.MediaName.trim(),
    partitions: disk.Partitions.map(partitionOf),
    mounts,
    swap: mounts.some((mount) => SWAP.test(mount)),
    // Nothing that could be closed: what spans disks is among the members, and an APFS container is like a file system.
    stacks: [],
    members: [
      ...new Set([
        ...contents.filter((content) => MEMBER.test(content)),
        ...several.map((on) => `APFS on ${on.map(({ DeviceIdentifier }) => DeviceIdentifier).join(' and ')}`),
      ]),
    ],
  };
}

/** Where swap files are, since macOS 11 and before. */
const SWAP = /^(\/System\/Volumes\/VM|\/private\/var\/vm)$/;

/** What may span disks, by diskutil's names of types of partitions. */
const MEMBER = /CoreStorage|RAID|LVM|^ZFS$/;

/** Types that diskutil has no name for: OpenZFS' on macOS, and those of uapi-group.org/specifications/specs/discoverable_partitions_specification. */
const CONTENTS: Record<string, string> = {
  '6A898CC3-1DD2-11B2-99A6-080020736631': 'ZFS',
  'E6D6D379-F507-44C2-A23C-238F2A3DF928': 'Linux LVM',
  'A19D880F-05FC-4D3B-A006-743F0F84911E': 'Linux RAID',
};

const placesOf = ({ MountPoint, Partitions, APFSVolumes }: Whole): string[] =>
  [
    MountPoint,
    ...Partitions.map((one) => one.MountPoint),
    ...APFSVolumes.flatMap((one) => [one.MountPoint, ...one.MountedSnapshots.map((two) => two.SnapshotMountPoint)]),
  ].flatMap((one) => (one ? [one] : []));

function partitionOf({
  DeviceIdentifier,
  Size,
  VolumeName,
  Content,
}: Whole['Partitions'][number]): Device['partitions'][number] {
  const filesystem = CONTENTS[Content] ?? Content;
  return {
    path: `/dev/${DeviceIdentifier}`,
    size: Size,
    ...(VolumeName && { label: VolumeName }),
    // Types without a name are numbers that nobody knows.
    ...(filesystem !== '' && !/^[\dA-F]{8}-/.test(filesystem) && { filesystem }),
  };
}

/** IOStorageProtocolCharacteristics.h has the names; Thunderbolt is PCI Express to macOS. */
function busOf({ BusProtocol, DeviceTreePath }: Info): Bus {
  if (BusProtocol === 'Disk Image' || BusProtocol === 'Virtual Interface') return 'loop';
  if (BusProtocol === 'USB') return 'usb';
  if (BusProtocol === 'Secure Digital') return 'sd';
  if (BusProtocol === 'Apple Fabric' || /NVMe/.test(DeviceTreePath)) return 'nvme';
  return /^S?ATA$/.test(BusProtocol) ? 'sata' : 'other';
}

const apfs = z.object({
  Containers: z.array(
    z.object({
      PhysicalStores: z.array(z.object({ DeviceIdentifier: z.string() })).default([]),
      Volumes: z.array(z.object({ Roles: z.array(z.string()).default([]) })).default([]),
    }),
  ),
});

/** Partitions, like `disk4s2`, with backups of Time Machine, of `diskutil apfs list -plist`. Throws ZodError. */
export const parseBackups = (list: unknown): string[] =>
  apfs
    .parse(list)
    .Containers.filter(({ Volumes }) => Volumes.some(({ Roles }) => Roles.includes('Backup')))
    .flatMap(({ PhysicalStores }) => PhysicalStores.map(({ DeviceIdentifier }) => DeviceIdentifier));

const attached = z.object({
  images: z.array(
    z.object({
      'image-path': z.string(),
      'system-entities': z.array(z.object({ 'dev-entry': z.string() })).default([]),
    }),
  ),
});

/** Files of disk images by disk, like `/dev/disk5`, of `hdiutil info -plist`. Throws ZodError. */
export function parseImages(list: unknown): Record<string, string> {
  const { images } = attached.parse(list);
  return Object.fromEntries(
    images.flatMap((image) =>
      image['system-entities'].map((entity) => [`/dev/${wholeOf(entity['dev-entry'])}`, image['image-path']]),
    ),
  );
}
