// What Linux tells of this computer's block devices.
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { run } from './exec.ts';

/** `lsblk --json`, with sizes in bytes. Throws PiimgError when lsblk is missing or fails. */
export async function lsblk(columns: string[]): Promise<string> {
  const command = ['lsblk', '--json', '--bytes', '--all', '--output', columns.join(',')];
  return (await run(command, { signal: AbortSignal.timeout(20_000) })).stdout;
}

/** `SD` or `MMC` by `/dev/mmcblk0`: Documentation/driver-api/mmc/mmc-dev-attrs.rst, `type`. */
export async function cardTypes(sys = '/sys'): Promise<Record<string, string>> {
  const names = (await readdir(path.join(sys, 'block')).catch(() => [])).filter((name) => /^mmcblk\d+$/.test(name));
  const types = names.map(async (name): Promise<[string, string]> => {
    const type = await readFile(path.join(sys, 'block', name, 'device/type'), 'utf8').catch(() => '');
    return [`/dev/${name}`, type.trim()];
  });
  return Object.fromEntries(await Promise.all(types));
}

/** By a file system's number (`dev` of stat(2)): what is mounted. Whoever asks about several files need not ask findmnt for each. */
export type Mounts = Map<number, Promise<Mounted[]>>;

/**
 * The disks on which a file, folder or device lies, by path, through partitions, LUKS, LVM, RAID, loops and overlays. Empty for what
 * lies in memory or on the network. `mounts` is what other calls have found out just now, and is added to.
 */
export async function disksBelow(file: string, mounts: Mounts = new Map()): Promise<string[]> {
  const found = new Set<string>();
  await visitFile(file, { found, seen: new Set(), mounts });
  return [...found];
}

interface Visit {
  found: Set<string>;
  seen: Set<string>;
  mounts: Mounts;
}

/** The files that a loop device is made of, the nearest first: more than one where it lies on another loop. */
export async function filesOfLoop(device: string): Promise<string[]> {
  const sysfs = `/sys/class/block/${path.basename(device)}/loop/backing_file`;
  const file = (await readFile(sysfs, 'utf8').catch(() => '')).trimEnd();
  return file === '' ? [] : [file, ...(file.startsWith('/dev/') ? await filesOfLoop(file) : [])];
}

async function visitFile(file: string, visit: Visit): Promise<void> {
  const { seen, mounts } = visit;
  const place = await realpath(file).catch(() => undefined);
  if (place === undefined || seen.has(place)) return;
  const info = await stat(place);
  // Of a loop over a disk. Where its node in /dev lies says nothing.
  if (info.isBlockDevice()) return visitDevice(place, visit);
  seen.add(place);
  const asked = mounts.get(info.dev) ?? mountsAt(place);
  mounts.set(info.dev, asked);
  for (const { source, fstype, options } of await asked) {
    if (fstype === 'overlay') for (const layer of overlayLayers(options)) await visitFile(layer, visit);
    if (source === null || !source.startsWith('/dev/')) continue;
    const device = await realpath(source).catch(() => source);
    await visitDevice(device, visit);
    if (fstype === 'btrfs') for (const other of await btrfsBeside(device)) await visitDevice(other, visit);
  }
}

async function mountsAt(place: string): Promise<Mounted[]> {
  // 1: nothing is mounted there, as in a chroot.
  const options = { okCodes: [0, 1], signal: AbortSignal.timeout(20_000) };
  const columns = ['--json', '--nofsroot', '--output', 'SOURCE,FSTYPE,OPTIONS'];
  const { stdout } = await run(['findmnt', ...columns, '--target', place], options);
  const { filesystems } = JSON.parse(stdout.trim() || '{"filesystems":[]}') as { filesystems: Mounted[] };
  return filesystems;
}

interface Mounted {
  source: string | null;
  fstype: string;
  options: string;
}

/** All devices of a btrfs, of which a mount names one: /sys/fs/btrfs/UUID/devices. */
async function btrfsBeside(device: string): Promise<string[]> {
  for (const uuid of await readdir('/sys/fs/btrfs').catch(() => [])) {
    const names = await readdir(`/sys/fs/btrfs/${uuid}/devices`).catch((): string[] => []);
    if (names.includes(path.basename(device))) return names.map((name) => `/dev/${name}`);
  }
  return [];
}

/** Documentation/filesystems/overlayfs.rst: `lowerdir=a:b,upperdir=c`. */
export function overlayLayers(options: string): string[] {
  return options.split(',').flatMap((option) => {
    const [, name = '', folders = ''] = /^(lowerdir\+?|datadir\+|upperdir)=(.*)$/.exec(option) ?? [];
    return name === 'lowerdir' ? folders.split(':').filter(Boolean) : name === '' ? [] : [folders];
  });
}

async function visitDevice(device: string, visit: Visit): Promise<void> {
  const { found, seen } = visit;
  if (seen.has(device)) return;
  seen.add(device);
  const name = path.basename(device);
  const folder = await realpath(`/sys/class/block/${name}`).catch(() => undefined);
  if (folder === undefined) return;
  // What it lies on, of device mapper and RAID.
  const slaves = await readdir(path.join(folder, 'slaves')).catch(() => []);
  for (const slave of slaves) await visitDevice(`/dev/${slave}`, visit);
  const backing = await readFile(path.join(folder, 'loop/backing_file'), 'utf8').catch(() => undefined);
  if (backing !== undefined) await visitFile(backing.trimEnd().replace(/ \(deleted\)$/, ''), visit);
  const partition = await readFile(path.join(folder, 'partition'), 'utf8').catch(() => undefined);
  if (partition !== undefined) await visitDevice(`/dev/${path.basename(path.dirname(folder))}`, visit);
  else found.add(device);
}
