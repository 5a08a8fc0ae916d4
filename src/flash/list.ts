// This computer's disks, each with whether an image may be written to it.
import { readFile } from 'node:fs/promises';
import { cardTypes, disksBelow, lsblk } from '../host/block-devices.ts';
import { judge, type Judgement } from './judge.ts';
import { COLUMNS, parseLsblk } from './lsblk.ts';

/** A file or folder whose disk must stay as it is, and what it is, in words. */
export interface Needed {
  file: string;
  what: string;
}

const SYSTEM: Needed[] = ['/', '/boot', '/usr', '/var'].map((file) => ({ file, what: 'what this computer runs from' }));

/**
 * Disks that are there, those that could be cards first. `needed` is kept beside what the system itself runs from and swaps to; `size` in
 * bytes is what has to fit. Throws PiimgError when lsblk is missing.
 */
export async function listDisks(needed: Needed[], size?: number): Promise<Judgement[]> {
  const swaps = (await swapFiles()).map((file) => ({ file, what: 'a swap file' }));
  const devices = parseLsblk(await lsblk(COLUMNS), await cardTypes());
  const kept: Record<string, string> = {};
  for (const { file, what } of [...SYSTEM, ...swaps, ...needed])
    for (const disk of await disksBelow(file)) kept[disk] ??= what;
  const surroundings = { needed: kept, ...(size !== undefined && { size }) };
  return devices
    .filter((device) => device.kind === 'disk' && (device.bus !== 'loop' || device.size > 0))
    .map((device) => judge(device, surroundings))
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
