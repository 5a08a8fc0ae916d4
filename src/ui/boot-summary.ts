// What a person wants to know when a boot test is over: verdict, what failed and what to do, checks, times, where the report is.
import type { BootReport, BootRun, CheckResult } from '../boot/report.ts';
import type { Excerpt } from '../boot/report/excerpt.ts';
import type { TimeRow } from '../boot/report/times.ts';
import { plainLine } from '../lib/plain-text.ts';
import { formatDuration } from './rate.ts';
import type { Style } from './style.ts';
import { formatTable } from './table.ts';

export interface BootSummary {
  /** The verdict in one line. */
  headline: string;
  report: BootReport;
  /** Of each boot. */
  times: TimeRow[][];
  excerpt: Excerpt | undefined;
  /** What was written: [`report`, `out/web.html`]. */
  files: [name: string, path: string][];
}

/** Tables stay within a terminal of 100 columns: a status, a name, what was seen, a time, and the gaps. */
const WIDTH = { line: 98, name: 38, seen: 38 };

/** The end-of-test report as text without a final line feed. What a guest said is shown without its control characters. */
export function formatBootSummary({ headline, report, times, excerpt, files }: BootSummary, style: Style): string {
  const { verdict, seconds } = report;
  const passed = verdict === 'passed';
  const title = plainLine(headline);
  const sections = [
    passed ? '' : whatFailed(report, style),
    excerpt === undefined ? '' : quotation(excerpt, style),
    ...report.boots.flatMap((boot, index) => [
      report.boots.length > 1 ? style.bold(`boot ${index + 1}`) : '',
      checkTable(boot, style),
      timeTable(times[index] ?? [], style),
    ]),
    notes(report, style),
    formatTable(
      [['took', formatDuration(seconds)], ...files].map(([name = '', value = '']) => [style.dim(name), value]),
    ),
  ];
  return [style.bold(passed ? style.green(title) : style.red(title)), ...sections.filter((text) => text !== '')].join(
    '\n\n',
  );
}

function whatFailed({ reason }: BootReport, style: Style): string {
  if (reason === undefined) return '';
  const hint = reason.hint === undefined ? [] : [plainLine(reason.hint)];
  return [`${style.red(reason.code)}: ${plainLine(reason.message)}`, ...hint].join('\n');
}

function quotation({ lines, more, from }: Excerpt, style: Style): string {
  const rest = more > 0 ? [style.dim(`  … ${more} more`)] : [];
  return [
    style.dim(`the console, from line ${from + 1}:`),
    ...lines.map((line) => clip(`  ${plainLine(line)}`, WIDTH.line)),
    ...rest,
  ].join('\n');
}

function checkTable({ checks }: BootRun, style: Style): string {
  if (checks.length > 0 && checks.every(({ status }) => status === 'not run'))
    return style.dim(`none of the ${checks.length} checks was run`);
  const paint = { passed: style.green, failed: style.red, 'not run': style.dim } satisfies Record<
    CheckResult['status'],
    unknown
  >;
  const rows = checks.flatMap(({ status, name, seen, expected, at }) => [
    [
      `  ${paint[status](status)}`,
      clip(plainLine(name), WIDTH.name),
      clip(plainLine(seen), WIDTH.seen),
      status === 'not run' ? '' : `${at.toFixed(1)} s`,
    ],
    ...(status === 'failed' && expected !== undefined
      ? [['', '', style.dim(clip(`expected: ${plainLine(expected)}`, WIDTH.seen)), '']]
      : []),
  ]);
  return formatTable(rows, [3]);
}

function timeTable(rows: TimeRow[], style: Style): string {
  if (rows.length === 0) return '';
  const compared = rows.some(({ before }) => before !== '');
  const head = ['', 'this test', ...(compared ? ['last passed', 'change'] : [])].map(style.dim);
  const cells = rows.map(({ label, now, before, change }) => [`  ${label}`, now, before, change]);
  return formatTable([head, ...cells], [1, 2, 3]);
}

function notes({ warnings, notExercised }: BootReport, style: Style): string {
  return formatTable([
    ...warnings.map((warning) => [style.yellow('note'), plainLine(warning)]),
    ...notExercised.map((what) => [style.dim('not exercised'), plainLine(what)]),
  ]);
}

function clip(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, width - 1)}…` : text;
}
