// A block device as flashing sees it, whatever system has listed it.

export interface Partition {
  path: string;
  size: number;
  label?: string;
  filesystem?: string;
}

/** How a disk is attached, as far as that says whether a card may be in it. */
export type Bus = 'usb' | 'sd' | 'emmc' | 'nvme' | 'sata' | 'virtio' | 'loop' | 'other';

export interface Device {
  /** `/dev/sdb`. */
  path: string;
  /** `part` is a partition; `stack` something that lies on other devices: LUKS, LVM, RAID. */
  kind: 'disk' | 'part' | 'stack';
  bus: Bus;
  /** Bytes; 0 for a reader without a card. */
  size: number;
  /** The medium can be taken out (sysfs' `removable`). */
  removable: boolean;
  readOnly: boolean;
  /** Vendor and model as one text, '' where the device tells none. */
  model: string;
  /** Behind a USB reader it is the reader's, and may be missing. */
  serial?: string;
  /** The disk that a partition is on. */
  parent?: string;
  partitions: Partition[];
  /** Where anything on it is mounted, through all that lies on it. */
  mounts: string[];
  /** Something on it is used as swap. */
  swap: boolean;
  /** LUKS, LVM or RAID devices that lie on it: `crypt /dev/mapper/home`. */
  stacks: string[];
}
