// Whether the list of this computer's disks is right, by what others tell of them. Pure.
import type { Judgement } from './judge.ts';

/** What others tell. */
export interface Witnesses {
  /** What is mounted, by the kernel or `mount`. */
  mounts: Mounted[];
  /** The same by `df`, which ends names at a blank. */
  df: Mounted[];
  /** Partitions and files that are swapped to. */
  swap: string[];
  /** The folder one is in. */
  folder: string;
  /** Which paths of the list, and of what is mounted, are block devices here. */
  devices: string[];
}

interface Mounted {
  source: string;
  place: string;
}

export interface SelftestCheck {
  name: string;
  /** `none`: there is nothing to see here, as in containers. */
  result: 'ok' | 'failed' | 'none';
  /** What was found. */
  found: string;
}

/** The list must have been made with the folder one is in as something to keep. */
export function selftest(disks: Judgement[], witnesses: Witnesses): SelftestCheck[] {
  if (disks.length === 0 || witnesses.devices.length === 0)
    return [{ name: 'disks', result: 'none', found: 'no disk can be seen from here' }];
  return [
    devices(disks, witnesses),
    mounted('what is mounted is on listed disks (by the kernel)', disks, witnesses.mounts, witnesses),
    mounted('what is mounted is on listed disks (by df)', disks, witnesses.df, witnesses),
    refused('the disk of the system is refused', disks, '/', witnesses),
    refused('the disk of the folder you are in is refused', disks, witnesses.folder, witnesses),
    ...swapping(disks, witnesses),
  ];
}

function devices(disks: Judgement[], { devices, mounts }: Witnesses): SelftestCheck {
  const name = 'each listed disk is there and has a size';
  const missing = disks.map(({ device }) => device.path).filter((path) => !devices.includes(path));
  // Readers without a card have no size, and nothing else.
  const empty = disks.filter(({ device }) => device.size === 0 && device.partitions.length + device.mounts.length > 0);
  const odd = [
    ...missing.map((path) => `${path} is not there`),
    ...empty.map(({ device }) => `${device.path} has no size`),
  ];
  // Containers hear of all disks and are given few.
  const contained = !mounts.some(({ source, place }) => place === '/' && devices.includes(source));
  if (contained && empty.length === 0 && missing.length > 0) return { name, result: 'none', found: odd.join('; ') };
  return verdict(name, odd, `${disks.length} listed`);
}

/** A disk, its partitions and what lies on them know their mounts: by the place, as devices have several names. */
function mounted(name: string, disks: Judgement[], mounts: Mounted[], { devices }: Witnesses): SelftestCheck {
  const seen = mounts.filter(({ source }) => devices.includes(source) && !NO_DISK.test(source));
  if (seen.length === 0) return { name, result: 'none', found: 'nothing that is mounted here is a device' };
  const known = disks.flatMap(({ device }) => device.mounts);
  const odd = seen
    .filter(({ place }) => !known.some((one) => one === place || one.startsWith(`${place} `)))
    .map(({ source, place }) => `${source} at ${place} is on none`);
  return verdict(name, odd, `${seen.length} mounted`);
}

/** Memory, floppies, CDs and disks of the network are not listed. */
const NO_DISK = /^\/dev\/(zram|ram|fd|sr|nbd|mtdblock|fuse)/;

function refused(name: string, disks: Judgement[], file: string, { mounts, devices }: Witnesses): SelftestCheck {
  const under = mounts.filter(({ place }) => `${file}/`.startsWith(place === '/' ? '/' : `${place}/`));
  // Of mounts at the same place the last one is what one sees.
  const at = under.reduce((best, one) => (one.place.length >= best.place.length ? one : best), {
    source: '',
    place: '',
  });
  if (!devices.includes(at.source) || NO_DISK.test(at.source))
    return { name, result: 'none', found: `${file} is on ${at.source || 'nothing'}, which is no disk` };
  const below = disks.filter(({ device }) => device.mounts.includes(at.place));
  if (below.length === 0)
    return { name, result: 'failed', found: `${file} is on ${at.source}, which is on no listed disk` };
  const odd = below.filter((one) => one.verdict !== 'refused').map((one) => `${one.device.path} is not: ${one.reason}`);
  return verdict(name, odd, below.map(({ device, reason }) => `${device.path}: ${reason}`).join('; '));
}

function swapping(disks: Judgement[], witnesses: Witnesses): SelftestCheck[] {
  const name = 'disks that are swapped to are refused';
  const swap = witnesses.swap.filter((one) => !NO_DISK.test(one));
  if (swap.length === 0) return [{ name, result: 'none', found: 'no disk is swapped to' }];
  return swap.map((one) => {
    if (!one.startsWith('/dev/')) return refused(name, disks, one, witnesses);
    const holds = disks.filter(({ device }) => device.swap);
    const odd = holds.filter((disk) => disk.verdict !== 'refused').map((disk) => `${disk.device.path} is not`);
    if (holds.length === 0) odd.push(`${one} is on no listed disk`);
    return verdict(name, odd, `${one} on ${holds.map(({ device }) => device.path).join(', ')}`);
  });
}

function verdict(name: string, odd: string[], fine: string): SelftestCheck {
  return odd.length === 0 ? { name, result: 'ok', found: fine } : { name, result: 'failed', found: odd.join('; ') };
}
