// The lines of the console that a failure shows first.
import type { BootReport, CheckResult } from '../report.ts';

/** A trace of a panic is longer; the report holds the rest. */
const LONGEST = 14;

type Range = [from: number, to: number];

export interface Excerpt {
  /** Which boot, from 0. */
  boot: number;
  /** Lines of its console: from, to (0-based, exclusive). */
  from: number;
  to: number;
  lines: string[];
  /** How many the part has beyond `lines`. */
  more: number;
}

/** systemd's words for a unit that failed, what it adds below, and units in what a check has seen. */
const TROUBLE = /\[(FAILED|DEPEND| TIME )\]/;
const SEE = /^See 'systemctl status /;
const UNIT = /[\w@:.\\-]+\.(?:service|mount|socket|timer|path|swap|target)\b/g;

/**
 * What the last boot of a failed test has marked; else, of a failed check or no login, the units that systemd says have failed; else,
 * unless it was a check, the console's last lines. Undefined when there is no line to show.
 */
export function excerptOf({ verdict, reason, boots }: BootReport): Excerpt | undefined {
  const run = boots.at(-1);
  if (verdict === 'passed' || run === undefined) return undefined;
  const all = run.console.trimEnd().split('\n');
  const units = reason?.code === 'check' || reason?.code === 'timeout' ? failedUnits(all, run.checks) : undefined;
  const end: Range | undefined = reason?.code === 'check' ? undefined : [Math.max(0, all.length - LONGEST), all.length];
  const [from, to] = run.marked ?? units ?? end ?? [0, 0];
  const part = all.slice(from, to);
  if (part.every((line) => line.trim() === '')) return undefined;
  const lines = part.slice(0, LONGEST);
  return { boot: boots.length - 1, from, to: from + part.length, lines, more: part.length - lines.length };
}

/** A unit that a failed check names before any other: units may fail that nothing depends on. */
function failedUnits(lines: string[], checks: CheckResult[]): Range | undefined {
  const failed = checks.filter(({ status }) => status === 'failed');
  const names = failed.flatMap(({ name, seen }) => `${name} ${seen}`.match(UNIT) ?? []);
  const trouble = lines.flatMap((line, index) => (TROUBLE.test(line) ? [index] : []));
  const from = trouble.find((index) => names.some((name) => lines[index]?.includes(name))) ?? trouble[0];
  if (from === undefined) return undefined;
  const more = lines.slice(from).findIndex((line) => !TROUBLE.test(line) && !SEE.test(line));
  return [from, more === -1 ? lines.length : from + more];
}
