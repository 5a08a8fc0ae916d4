// Asks a Mac for its disks.
import { deviceOf, diskutilApfsList, diskutilInfo, diskutilList, hdiutilInfo } from '../host/mac-disks.ts';
import { type MacDisks, parseBackups, parseDiskutil, parseImages, readPlist, wholeDisks } from './diskutil.ts';
import type { Needed } from './judge.ts';
import type { Listing } from './list.ts';

const BACKUPS = "Time Machine's backups (if it is to be a card: erase it in Disk Utility)";

/** Throws PiimgError when diskutil is missing or fails; ZodError or Error when it prints something else than property lists. */
export async function listMac(runsFrom: string): Promise<Listing> {
  const list = readPlist(await diskutilList());
  const infos = await Promise.all(
    wholeDisks(list).map(async (disk): Promise<[string, unknown]> => {
      const text = await diskutilInfo(disk);
      return [disk, text === undefined ? undefined : readPlist(text)];
    }),
  );
  const disks = parseDiskutil(list, Object.fromEntries(infos));
  const needed: Needed = {};
  for (const store of parseBackups(readPlist(await diskutilApfsList())))
    for (const disk of disks.disksBelow(store)) needed[disk] ??= BACKUPS;
  const system = ['/', '/System/Volumes/Data', '/private/var/vm'].map((file) => ({ file, what: runsFrom }));
  return { devices: disks.devices, system, needed, disksBelow: (file) => disksBelowFile(file, disks) };
}

/** Through disk images, which are files on other disks. */
async function disksBelowFile(file: string, disks: MacDisks, seen: string[] = []): Promise<string[]> {
  const device = await deviceOf(file);
  if (device === undefined) return [];
  const found = disks.disksBelow(device);
  const isImage = (path: string): boolean => disks.devices.some((disk) => disk.path === path && disk.bus === 'loop');
  if (!found.some(isImage)) return found;
  const files = parseImages(readPlist(await hdiutilInfo()));
  for (const image of found.filter(isImage)) {
    const below = files[image];
    if (below === undefined || seen.includes(below)) continue;
    found.push(...(await disksBelowFile(below, disks, [...seen, below])));
  }
  return found;
}
