// Lines of /etc/fstab, and what is mounted.
import { readFile } from 'node:fs/promises';
import { writeDurably } from '../durable.ts';
import type { Machine } from '../machine.ts';

/** fstab(5): spaces, tabs and backslashes in a path are written in octal. */
const escaped = (path: string): string =>
  path.replaceAll(/[\\ \t]/g, (letter) => `\\${letter.charCodeAt(0).toString(8).padStart(3, '0')}`);

export interface Mount {
  what: string;
  where: string;
  type: string;
  options: string[];
}

/** The line that mounts it; a machine comes up without it, as a disk may be pulled. */
export function fstabLine({ what, where, type, options }: Mount): string {
  const all = [...options, ...(type === 'swap' ? [] : ['nofail'])];
  return [what, escaped(where), type, all.join(',') || 'defaults', '0', type === 'swap' ? '0' : '2'].join(' ');
}

export async function hasFstabLine(machine: Machine, line: string): Promise<boolean> {
  return (await readFile(machine.at('etc/fstab'), 'utf8')).split('\n').includes(line);
}

/** Adds the line in the place of one for the same mount point. For swap, whose mount point is `none`, of the same file. */
export async function setFstabLine(machine: Machine, line: string): Promise<void> {
  const field = line.split(' ')[1] === 'none' ? 0 : 1;
  const place = (other: string): string | undefined => other.split(/\s+/)[field];
  const lines = (await readFile(machine.at('etc/fstab'), 'utf8')).split('\n').filter(Boolean);
  const kept = lines.filter((other) => other.startsWith('#') || place(other) !== place(line));
  await writeDurably(machine.at('etc/fstab'), `${[...kept, line].join('\n')}\n`, { mode: 0o644, uid: 0, gid: 0 });
}

/** What is mounted there: the device's path. The last one is on top; what mounts it when it is asked for is none. proc_pid_mountinfo(5) */
export async function mountedAt(machine: Machine, where: string): Promise<string | undefined> {
  const lines = (await readFile(machine.at('proc/self/mountinfo'), 'utf8')).split('\n');
  const there = lines.map((line) => line.split(' - ')).filter(([left = '']) => left.split(' ')[4] === escaped(where));
  const mounts = there.map(([, right = '']) => right.split(' ')).filter(([type]) => type !== 'autofs');
  return mounts.at(-1)?.[1];
}
