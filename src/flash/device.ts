// A disk as flashing sees it, whatever system has listed it.

export interface Partition {
  path: string;
  size: number;
  label?: string;
  filesystem?: string;
}

/** How a disk is attached, as far as that says whether a card may be in it. */
export type Bus = 'usb' | 'sd' | 'emmc' | 'nvme' | 'sata' | 'virtio' | 'loop' | 'other';

export interface Device {
  /** `/dev/sdb`, `/dev/disk4`. */
  path: string;
  bus: Bus;
  /** Bytes; 0 for a reader without a card. */
  size: number;
  /** The medium can be taken out (sysfs' `removable`, diskutil's `RemovableMedia`). */
  removable: boolean;
  readOnly: boolean;
  /** Vendor and model as one text, '' where the device tells none. */
  model: string;
  /** Behind a USB reader it is the reader's, and may be missing; macOS' diskutil tells none. */
  serial?: string;
  partitions: Partition[];
  /** Where anything on it is mounted, through all that lies on it. */
  mounts: string[];
  /** Something on it is used as swap. */
  swap: boolean;
  /** LUKS, LVM or RAID devices that lie on it: `crypt /dev/mapper/home`. */
  stacks: string[];
  /** It, or a partition, belongs to something that may span disks, whether that is in use or not: `zfs_member`. */
  members: string[];
}
