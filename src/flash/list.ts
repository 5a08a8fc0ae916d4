// This computer's disks, each with whether an image may be written to it.
import { readFile } from 'node:fs/promises';
import { cardTypes, disksBelow, filesOfLoop, lsblk, type Mounts } from '../host/block-devices.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { Device } from './device.ts';
import { judge, type Judgement, type Needed } from './judge.ts';
import { listMac } from './list-mac.ts';
import { COLUMNS, parseLsblk } from './lsblk.ts';

/** A file or folder whose disk must stay as it is, and what it is, in words. */
export interface KeptFile {
  file: string;
  what: string;
}

/** What a system tells. */
export interface Listing {
  devices: Device[];
  /** Files and folders that it needs itself. */
  system: KeptFile[];
  /** What must stay as it is for another reason than a file. */
  needed: Needed;
  /** Paths of the disks on which a file lies. */
  disksBelow: (file: string) => Promise<string[]>;
}

const RUNS_FROM = 'what this computer runs from';

/**
 * Disks that are there, those that could be cards first. `kept` stays as it is, beside what the system itself runs from and swaps to.
 * Throws PiimgError when lsblk or diskutil is missing, and on other systems than Linux and macOS.
 */
export async function listDisks(kept: KeptFile[]): Promise<Judgement[]> {
  const { devices, system, needed, disksBelow } = await listing();
  const below = [...system, ...kept].map(async ({ file, what }) => ({ what, disks: await disksBelow(file) }));
  for (const { what, disks } of await Promise.all(below)) for (const disk of disks) needed[disk] ??= what;
  return devices
    .filter((device) => device.bus !== 'loop' || device.size > 0)
    .map((device) => judge(device, needed))
    .sort((a, b) => ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict));
}

const ORDER: Judgement['verdict'][] = ['card', 'fixed', 'refused'];

function listing(): Promise<Listing> {
  if (process.platform === 'linux') return listLinux();
  if (process.platform === 'darwin') return listMac(RUNS_FROM);
  throw new PiimgError('Disks can be listed on Linux and macOS only, so far', { exitCode: EXIT.failed });
}

async function listLinux(): Promise<Listing> {
  const system = ['/', '/boot', '/usr', '/var'].map((file) => ({ file, what: RUNS_FROM }));
  const swaps = (await swapPlaces()).map((file) => ({ file, what: 'swap' }));
  const devices = parseLsblk(await lsblk(COLUMNS), await cardTypes());
  const mounts: Mounts = new Map();
  return {
    devices,
    system: [...system, ...swaps, ...(await loopsOnDisks(devices))],
    needed: {},
    disksBelow: (file) => disksBelow(file, mounts),
  };
}

/** Disks that loops are made of, such as a part of a disk that somebody looks into: lsblk shows them beside each other. */
async function loopsOnDisks(devices: Device[]): Promise<KeptFile[]> {
  const loops = devices.filter(({ bus }) => bus === 'loop');
  const found = await Promise.all(loops.map(async ({ path }) => ({ what: path, file: (await filesOfLoop(path))[0] })));
  return found.flatMap(({ what, file }) => (file?.startsWith('/dev/') ? [{ file, what }] : []));
}

/** Files and devices, by proc(5), /proc/swaps: a head line, then path and type; blanks in paths are octal. */
async function swapPlaces(): Promise<string[]> {
  const [, ...lines] = (await readFile('/proc/swaps', 'utf8').catch(() => '')).split('\n');
  return lines.map((line) => line.split(/\s+/)[0]?.replaceAll('\\040', ' ') ?? '').filter(Boolean);
}
