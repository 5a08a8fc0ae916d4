// The end of a boot test as a terminal shows it.
import { stripVTControlCharacters } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BootReport, CheckResult } from '../../../src/boot/report.ts';
import { excerptOf } from '../../../src/boot/report/excerpt.ts';
import { headlineOf } from '../../../src/boot/report/headline.ts';
import { timeRows } from '../../../src/boot/report/times.ts';
import { formatBootSummary } from '../../../src/ui/boot-summary.ts';
import { styleFor } from '../../../src/ui/style.ts';
import {
  HOSTILE,
  loginReport,
  panickedReport,
  passedReport,
  rebootedReport,
  unhealthyReport,
  wouldNotBootReport,
} from '../../helpers/boot-reports.ts';

const plain = styleFor({}, {});

function summaryOf(report: BootReport, style = plain): string {
  const times = report.boots.map((boot, index) => timeRows(boot.times, index === 0 ? report.earlier : undefined));
  const files: [string, string][] = [['report', 'out/web.html']];
  return formatBootSummary({ headline: headlineOf(report), report, times, excerpt: excerptOf(report), files }, style);
}

const few = (checks: number[]): BootReport['boots'] =>
  unhealthyReport.boots.map((boot) => ({ ...boot, checks: checks.flatMap((index) => boot.checks[index] ?? []) }));

test('a failure: reason, what to do, the console, checks with what was expected, times with their change', () => {
  const report = { ...unhealthyReport, boots: few([0, 2, 5]), notExercised: ['the watchdog'] };
  assert.is(
    summaryOf(report),
    `web failed its boot test on virt

check: 3 of 12 checks failed
Start with web.service: \`journalctl -u web\` in \`piimg boot out/web.img\` shows why it ended.

the console, from line 57:
  [FAILED] Failed to start web.service - Web application.
  See 'systemctl status web.service' for details.

  failed   application runs                    failed (Result: exit-code)  115.2 s
                                               expected: active
  not run  application calls itself ok         the port gave no answer
  passed   root file system grown to the card  3.5 GiB of 3.5 GiB           53.0 s

                   this test  last passed         change
  kernel              11.6 s       11.4 s  +0.2 s (+2 %)
  initramfs            3.2 s        3.2 s           ±0 s
  userspace           44.1 s       41.0 s  +3.1 s (+8 %)
  cloud-init done     52.4 s       49.7 s  +2.7 s (+5 %)
  power-off            4.9 s

note           config.txt: dtoverlay=vc4-kms-v3d cannot be applied on this machine
not exercised  the watchdog

took    2 min 22 s
report  out/web.html`,
  );
});

test('a passed test, two boots, a panic, no boot at all', () => {
  assert.match(summaryOf(passedReport), /^web boots and is healthy on virt\n\n {2}passed {2}application runs/);
  assert.match(
    summaryOf(loginReport),
    /^web boots to its login prompt on raspi4b; [^]* not run +application runs +this mach/,
  );
  assert.match(summaryOf(rebootedReport), /\n\nboot 2\n\n {2}passed [^]*this test\n {2}kernel +11\.5 s\n/);
  assert.match(summaryOf(panickedReport), /^panic: The kernel[^]* {2}… 2 more\n\nnone of the 12 checks was run\n/m);
  assert.match(summaryOf(wouldNotBootReport), /^would-not-boot: This card would not boot/m);
});

test('tables stay within 100 columns, whatever a guest says, and no control character gets through', () => {
  const check = { kind: 'http', expected: `${HOSTILE}${'x'.repeat(200)}`, at: 12345.6, attempts: 1 };
  const checks = (['failed', 'passed', 'not run'] as const).map((status): CheckResult => ({
    ...check,
    status,
    name: 'n'.repeat(200),
    seen: `${HOSTILE}\n${'y'.repeat(200)}`,
  }));
  const report: BootReport = { ...panickedReport, boots: panickedReport.boots.map((boot) => ({ ...boot, checks })) };
  // The hint and the like are prose, which a terminal breaks.
  const text = summaryOf({ ...report, reason: { code: 'panic', message: 'x' } });
  const wide = text.split('\n').filter((line) => line.length > 100);
  assert.equal(wide, []);
  const control = /(?!\n)[\p{Cc}\p{Cs}\u202e]/u;
  assert.not.match(text, control);
  assert.match(HOSTILE, control);
});

test('colours only where they are wanted', () => {
  const coloured = summaryOf(unhealthyReport, styleFor({ isTTY: true }, {}));
  assert.match(coloured, '\x1b[31mfailed\x1b[39m');
  assert.is(stripVTControlCharacters(coloured), summaryOf(unhealthyReport));
});

test.run();
