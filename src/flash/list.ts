// This computer's disks, each with whether an image may be written to it.
import { readFile } from 'node:fs/promises';
import { cardTypes, disksBelow, lsblk } from '../host/block-devices.ts';
import { judge, type Judgement, type Needed } from './judge.ts';
import { COLUMNS, parseLsblk } from './lsblk.ts';

/** A file or folder whose disk must stay as it is, and what it is, in words. */
export interface KeptFile {
  file: string;
  what: string;
}

const SYSTEM: KeptFile[] = ['/', '/boot', '/usr', '/var'].map((file) => ({
  file,
  what: 'what this computer runs from',
}));

/**
 * Disks that are there, those that could be cards first. `kept` stays as it is, beside what the system itself runs from and swaps to.
 * Throws PiimgError when lsblk is missing.
 */
export async function listDisks(kept: KeptFile[]): Promise<Judgement[]> {
  const swaps = (await swapFiles()).map((file) => ({ file, what: 'a swap file' }));
  const devices = parseLsblk(await lsblk(COLUMNS), await cardTypes());
  const needed: Needed = {};
  for (const { file, what } of [...SYSTEM, ...swaps, ...kept])
    for (const disk of await disksBelow(file)) needed[disk] ??= what;
  return devices
    .filter((device) => device.bus !== 'loop' || device.size > 0)
    .map((device) => judge(device, needed))
    .sort((a, b) => ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict));
}

const ORDER: Judgement['verdict'][] = ['card', 'fixed', 'refused'];

/** proc(5), /proc/swaps: a head line, then path and type; blanks in paths are octal. */
async function swapFiles(): Promise<string[]> {
  const [, ...lines] = (await readFile('/proc/swaps', 'utf8').catch(() => '')).split('\n');
  return lines
    .map((line) => line.split(/\s+/))
    .filter(([, type]) => type === 'file')
    .map(([file = '']) => file.replaceAll('\\040', ' '));
}
