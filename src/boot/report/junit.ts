// The report as JUnit XML, which every CI service shows as a list of tests.
import type { BootReport, BootRun, CheckResult } from '../report.ts';
import { plainLine } from '../../lib/plain-text.ts';
import { excerptOf } from './excerpt.ts';
import { headlineOf } from './headline.ts';
import { type Markup, markup } from './markup.ts';
import { timeRows } from './times.ts';

/**
 * One suite a boot, one case a check. What is no check (a panic, a card that would not boot) fails the case `boot`, which every
 * suite begins with. Of the dialects that consumers accept this is the common part: order and attributes of Ant's, cases as in
 * Surefire's. Times count from power-on: a check's to when it was settled, a suite's and its `boot`'s to the end.
 */
export function junitOf(report: BootReport): string {
  const boots: BootRun[] = report.boots.length > 0 ? report.boots : [{ checks: [], times: {}, console: '' }];
  const suites = boots.map((boot, index) => suite(report, boot, index, index === boots.length - 1));
  const sum = (count: (counts: Counts) => number) => suites.reduce((total, { counts }) => total + count(counts), 0);
  return markup`<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="piimg test" tests="${sum(({ tests }) => tests)}" failures="${sum(({ failures }) => failures)}" errors="0" time="${time(report.seconds)}">
${suites.map(({ element }) => element)}</testsuites>
`.markup;
}

interface Counts {
  tests: number;
  failures: number;
  skipped: number;
}

function suite(report: BootReport, boot: BootRun, index: number, last: boolean): { counts: Counts; element: Markup } {
  const { image, machine, reason } = report;
  const name = `${image.role} on ${machine.name}${index === 0 ? '' : `, boot ${index + 1}`}`;
  const classname = `${image.role}.${machine.name}${index === 0 ? '' : `-boot${index + 1}`}`;
  const broken = last && report.verdict === 'failed' && reason?.code !== 'check';
  const having = (status: CheckResult['status']) => boot.checks.filter((check) => check.status === status).length;
  const counts = {
    tests: boot.checks.length + 1,
    failures: having('failed') + (broken ? 1 : 0),
    skipped: having('not run'),
  };
  const over = Math.max(0, ...boot.checks.map(({ at }) => at)) + (boot.times.powerOff ?? 0);
  const started = new Date(report.started * 1000).toISOString().slice(0, 19);
  const element = markup`<testsuite name="${line(name)}" tests="${counts.tests}" failures="${counts.failures}" errors="0" skipped="${counts.skipped}" time="${time(over)}" timestamp="${started}" hostname="${line(machine.name)}" id="${index}" package="${line(image.role)}">
<properties>
${properties(report, boot).map(([name, value]) => markup`<property name="${name}" value="${line(value)}"/>\n`)}</properties>
<testcase classname="${line(classname)}" name="boot" time="${time(over)}">${broken ? brokenBoot(report) : undefined}</testcase>
${boot.checks.map(
  (check) =>
    markup`<testcase classname="${line(classname)}" name="${line(check.name)}" time="${time(check.at)}">${verdictOf(check)}</testcase>\n`,
)}<system-out>${boot.console}</system-out>
<system-err>${report.warnings.join('\n')}</system-err>
</testsuite>
`;
  return { counts, element };
}

function brokenBoot(report: BootReport): Markup {
  const { code, message, hint } = report.reason ?? { code: 'check', message: 'The test failed.' };
  const text = [...(hint === undefined ? [] : [hint]), ...(excerptOf(report)?.lines ?? [])].join('\n');
  return markup`<failure type="${code}" message="${line(message)}">${text}</failure>`;
}

function verdictOf({ status, seen, expected, attempts, kind }: CheckResult): Markup | undefined {
  if (status === 'passed') return undefined;
  if (status === 'not run') return markup`<skipped message="${line(seen)}"/>`;
  const wanted = expected === undefined ? '' : `expected: ${expected}\n`;
  return markup`<failure type="${kind}" message="${line(seen)}">${wanted}seen: ${seen}\nattempts: ${attempts}</failure>`;
}

function properties(report: BootReport, { times }: BootRun): [string, string][] {
  const { image, machine, notExercised } = report;
  return [
    ['verdict', headlineOf(report)],
    ['base', image.base],
    ['build id', image.buildId],
    ['sha256', image.sha256],
    ['machine', `${machine.title}, QEMU ${machine.qemu}, ${machine.accelerator}`],
    ...timeRows(times).map(({ label, now }): [string, string] => [`time: ${label}`, now]),
    ...notExercised.map((what): [string, string] => ['not exercised', what]),
  ];
}

/** Readers turn line feeds in attributes into blanks, or refuse them. */
const line = plainLine;

const time = (seconds: number) => seconds.toFixed(3);
