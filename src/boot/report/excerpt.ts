// The lines of the console that a failure shows first.
import type { BootReport } from '../report.ts';

/** A trace of a panic is longer; the report holds the rest. */
const LONGEST = 14;

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

/**
 * What the last boot of a failed test has marked; when nothing is, and it was no check that failed, the console's last lines.
 * Undefined when there is no line to show.
 */
export function excerptOf({ verdict, reason, boots }: BootReport): Excerpt | undefined {
  const run = boots.at(-1);
  if (verdict === 'passed' || run === undefined) return undefined;
  const all = run.console.trimEnd().split('\n');
  const end: [number, number] | undefined =
    reason?.code === 'check' ? undefined : [Math.max(0, all.length - LONGEST), all.length];
  const [from, to] = run.marked ?? end ?? [0, 0];
  const part = all.slice(from, to);
  if (part.every((line) => line.trim() === '')) return undefined;
  const lines = part.slice(0, LONGEST);
  return { boot: boots.length - 1, from, to: from + part.length, lines, more: part.length - lines.length };
}
