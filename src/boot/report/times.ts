// Boot times in the order they pass, beside those of an earlier test, in words.
import type { BootTimes } from '../report.ts';

export interface TimeRow {
  label: string;
  /** `58.9 s`. */
  now: string;
  /** Of the earlier test; empty where it has none. */
  before: string;
  /** `+3.3 s (+6 %)`; empty where there is nothing to compare with. */
  change: string;
}

const LABELS: [keyof BootTimes, string][] = [
  ['kernel', 'kernel'],
  ['initrd', 'initramfs'],
  ['userspace', 'userspace'],
  ['cloudInit', 'cloud-init done'],
  ['health', 'healthy'],
  ['powerOff', 'power-off'],
];

/** The times that were taken; 0 is none: where nothing was waited for, as without health checks. */
export function timeRows(times: BootTimes, earlier: BootTimes = {}): TimeRow[] {
  return LABELS.flatMap(([key, label]) => {
    const [now, before] = [times[key], earlier[key]];
    if (!now) return [];
    if (!before) return [{ label, now: inSeconds(now), before: '', change: '' }];
    return [{ label, now: inSeconds(now), before: inSeconds(before), change: changeOf(now, before) }];
  });
}

/** `61.2 s`: minutes would make two tests hard to compare. */
export function inSeconds(seconds: number): string {
  return `${seconds.toFixed(1)} s`;
}

/** `2026-11-21 06:00 UTC`, of seconds since 1970. */
export function momentOf(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

function changeOf(now: number, before: number): string {
  const signed = (value: number, digits: number) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)}`;
  const change = now - before;
  if (Math.abs(change) < 0.05) return '±0 s';
  return `${signed(change, 1)} s (${signed((change / before) * 100, 0)} %)`;
}
