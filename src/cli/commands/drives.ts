// `piimg drives`: what could be a card, and why each other disk is refused.
import { setTimeout as sleep } from 'node:timers/promises';
import { listDisks } from '../../flash/list.ts';
import type { Judgement } from '../../flash/judge.ts';
import { formatDrives } from '../../ui/drives.ts';
import { styleFor } from '../../ui/style.ts';
import { print, printJson, tell } from './output.ts';

/** Milliseconds between two looks. */
const PAUSE = 1000;

/**
 * Prints the disks; with `watch` also each that comes, goes or changes, until `signal`; in JSON all of them on a line, each time. Throws PiimgError
 * where disks cannot be listed.
 */
export async function drives(flags: { json?: boolean; watch?: boolean }, signal: AbortSignal): Promise<void> {
  let before = await look();
  const printAll = (all: Judgement[]): void => (flags.watch ? print(JSON.stringify(all)) : printJson(all));
  if (flags.json) printAll(before);
  else print(before.length === 0 ? 'no disks' : formatDrives(before, styleFor(process.stdout)));
  if (!flags.watch) return;
  if (!flags.json) tell('waiting for cards; Ctrl-C ends');
  for (;;) {
    await sleep(PAUSE, undefined, { signal }).catch(() => {});
    signal.throwIfAborted();
    const now = await look();
    const gone = changed(before, now);
    const come = changed(now, before);
    before = now;
    if (flags.json) {
      if (gone.length + come.length > 0) printAll(now);
      continue;
    }
    for (const { device } of gone)
      if (!come.some((other) => other.device.path === device.path)) print(`- ${device.path}`);
    if (come.length > 0) print(formatDrives(come, styleFor(process.stdout)).replaceAll(/^/gm, '+ '));
  }
}

/** The folder one is in is never a target. */
const look = (): Promise<Judgement[]> => listDisks([{ file: process.cwd(), what: 'the folder you are in' }]);

/** Those of `some` that `others` has not, or has otherwise. */
function changed(some: Judgement[], others: Judgement[]): Judgement[] {
  const known = new Set(others.map((one) => JSON.stringify(one)));
  return some.filter((one) => !known.has(JSON.stringify(one)));
}
