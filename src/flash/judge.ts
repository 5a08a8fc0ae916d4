// Which disks an image may be written to, and why not to the others. Pure: what it knows of this computer it is told.
import { formatBytes } from '../lib/bytes.ts';
import { quote } from '../lib/quote.ts';
import type { Device } from './device.ts';

export type Verdict =
  /** It is what cards look like. */
  | 'card'
  /** It may be meant, but is not what cards look like. */
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

/** Devices by path on which something lies that this computer or this command needs: what, in words. */
export type Needed = Record<string, string>;

/** What is sold as 1 TB has up to 1.024e12 bytes; larger ones are disks for backups more often than cards. */
const LARGEST = 1.1e12;

/** The first of the rules that says something, the hardest ones first. */
export function judge(device: Device, needed: Needed): Judgement {
  for (const rule of RULES) {
    const said = rule(device, needed);
    if (said !== undefined) return { device, ...said };
  }
  return { device, verdict: 'card', reason: looks(device) };
}

type Said = Omit<Judgement, 'device'> | undefined;
type Rule = (device: Device, needed: Needed) => Said;

const refused = (reason: string, hint?: string): Said => ({
  verdict: 'refused',
  reason,
  ...(hint !== undefined && { hint }),
});

const RULES: Rule[] = [
  ({ mounts }) => {
    const place = mounts.find((mount) => SYSTEM.test(mount));
    if (place === undefined) return undefined;
    const byHand = /^\/(home|srv|opt|root|Users)\//.test(place)
      ? `If it is a card: sudo umount ${quote([place])}`
      : undefined;
    return refused(`this computer runs from it (${place})`, byHand);
  },
  ({ swap }) => (swap ? refused('is used as swap', 'swapon shows what is; sudo swapoff ends it.') : undefined),
  ({ path }, needed) => (needed[path] === undefined ? undefined : refused(`holds ${needed[path]}`)),
  ({ stacks }) =>
    stacks.length > 0
      ? refused(
          `in use by ${stacks.join(', ')}`,
          'Close or stop that first (cryptsetup close, vgchange -an, mdadm --stop).',
        )
      : undefined,
  ({ members }) => (members.length > 0 ? refused(`part of something larger: ${members.join(', ')}`, ERASE) : undefined),
  ({ size }) => (size === 0 ? refused('no card in it', 'Put one in.') : undefined),
  ({ readOnly }) =>
    readOnly ? refused('can only be read', "Check the lock switch on the card's adapter.") : undefined,
  ({ size }) => (size > LARGEST ? { verdict: 'fixed', reason: `larger than 1 TB: ${formatBytes(size)}` } : undefined),
  (device) => (isCardLike(device) ? undefined : { verdict: 'fixed', reason: looks(device) }),
];

/** Other disks may be missing it, whether it is in use now or not. */
const ERASE = 'If it is a used card all the same: sudo wipefs --all on it, or on a Mac erase it in Disk Utility.';

/**
 * Where systems have what they run from, live ones and macOS too. What is mounted elsewhere, as desktops do with a card (macOS below
 * /Volumes), can be unmounted.
 */
const SYSTEM = new RegExp(
  [
    '^/$',
    '^/(boot|usr|var|etc|home|opt|srv|nix|gnu|snap|root|efi|cdrom|sysroot)(/|$)',
    '^/run/(live|initramfs|archiso|install|rootfsbase)(/|$)',
    '^/(System|Library|Applications|Users|private/(var|etc|preboot|xarts))(/|$)',
  ].join('|'),
);

/**
 * In built-in readers Linux says that a card cannot be taken out (sysfs' `removable` is 0 for all of mmc), so their type counts;
 * of SATA ports that take disks while they run it says that they can.
 */
const isCardLike = ({ removable, bus }: Device): boolean =>
  bus === 'sd' || bus === 'usb' || (removable && bus === 'other');

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
