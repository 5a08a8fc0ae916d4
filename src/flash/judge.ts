// Which disks an image may be written to, and why not to the others. Pure: what it knows of this computer it is told.
import { formatBytes } from '../lib/bytes.ts';
import type { Device } from './device.ts';

export type Verdict =
  /** It is what cards look like. */
  | 'card'
  /** It may be meant, but is not what cards look like: only when it is named with --allow-fixed. */
  | 'fixed'
  /** Never. */
  | 'refused';

export interface Judgement {
  device: Device;
  verdict: Verdict;
  /** One line: why. */
  reason: string;
  /** What to do about it, where something can be done. */
  hint?: string;
}

export interface Surroundings {
  /** Devices by path on which something lies that this computer or this command needs: what, in words. */
  needed: Record<string, string>;
  /** Bytes of the image, when there is one. */
  size?: number;
}

/** Larger cards are not sold (the SDUC standard goes to 128 TB, what is sold to 2 TB); larger USB disks are, for backups. */
const LARGEST = 1e12;

/** The first of the rules that says something, the hardest ones first. */
export function judge(device: Device, surroundings: Surroundings): Judgement {
  for (const rule of RULES) {
    const said = rule(device, surroundings);
    if (said !== undefined) return { device, ...said };
  }
  return { device, verdict: 'card', reason: looks(device) };
}

type Said = Omit<Judgement, 'device'> | undefined;
type Rule = (device: Device, surroundings: Surroundings) => Said;

const refused = (reason: string, hint?: string): Said => ({
  verdict: 'refused',
  reason,
  ...(hint !== undefined && { hint }),
});

const RULES: Rule[] = [
  ({ kind, parent }) =>
    kind === 'part' ? refused(`a partition of ${parent}`, `Name the whole disk: ${parent}`) : undefined,
  ({ kind, path }) => (kind === 'stack' ? refused(`${path} lies on other devices (LUKS, LVM or RAID)`) : undefined),
  ({ mounts }) => {
    const place = mounts.find((mount) => SYSTEM.test(mount));
    return place === undefined ? undefined : refused(`this computer runs from it (${place})`);
  },
  ({ path }, { needed }) => (needed[path] === undefined ? undefined : refused(`holds ${needed[path]}`)),
  ({ swap, path }) =>
    swap ? refused('is used as swap', `If it is a card: sudo swapoff on it (swapon --show ${path})`) : undefined,
  ({ stacks }) =>
    stacks.length > 0
      ? refused(
          `in use by ${stacks.join(', ')}`,
          'Close or stop that first (cryptsetup close, vgchange -an, mdadm --stop).',
        )
      : undefined,
  ({ size }) => (size === 0 ? refused('no card in it', 'Put one in.') : undefined),
  ({ readOnly }) =>
    readOnly ? refused('can only be read', "Check the lock switch on the card's adapter.") : undefined,
  ({ size }, { size: image }) =>
    image !== undefined && size < image
      ? refused(`too small: ${formatBytes(size)} for an image of ${formatBytes(image)}`, 'Use a larger card.')
      : undefined,
  ({ size }) =>
    size > LARGEST ? { verdict: 'fixed', reason: `larger than 1 TB: ${formatBytes(size)}`, hint: ALLOW } : undefined,
  (device) => (isCardLike(device) ? undefined : { verdict: 'fixed', reason: looks(device), hint: ALLOW }),
];

const ALLOW = 'If it is meant all the same: --allow-fixed.';

/** Where systems have what they run from. What is mounted elsewhere, as desktops do with a card, is unmounted before writing. */
const SYSTEM = /^\/$|^\/(boot|usr|var|etc|home|opt|srv|nix|gnu|snap|root|efi)(\/|$)/;

/** In built-in readers Linux says that a card cannot be taken out (sysfs' `removable` is 0 for all of mmc), so their type counts. */
const isCardLike = ({ removable, bus }: Device): boolean => removable || bus === 'sd' || bus === 'usb';

function looks({ bus, removable }: Device): string {
  const kinds: Record<Device['bus'], string> = {
    usb: removable ? 'in a USB reader, or a USB stick' : 'a USB disk',
    sd: 'a card in a built-in reader',
    emmc: 'memory that is soldered in (eMMC)',
    nvme: 'an NVMe disk',
    sata: 'a SATA disk',
    virtio: 'a disk of this virtual machine',
    loop: 'a file as a disk (loop)',
    other: removable ? 'a medium that can be taken out' : 'a disk that cannot be taken out',
  };
  return kinds[bus];
}
