// The HTML report as text: what is in it for whom; how it looks is for the browser to say (test/system/report.test.ts).
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BootReport } from '../../../src/boot/report.ts';
import { htmlOf } from '../../../src/boot/report/html.ts';
import { markup } from '../../../src/boot/report/markup.ts';
import {
  HOSTILE,
  loginReport,
  panickedReport,
  passedReport,
  rebootedReport,
  unhealthyReport,
  wouldNotBootReport,
} from '../../helpers/boot-reports.ts';

test('markup escapes every text and nothing twice', () => {
  const inner = markup`<b title="${'"\''}">${'a & b'}</b>`;
  assert.is(
    markup`<p>${inner}${[inner]}${undefined}${0}${'</p>\x1b[31m\0'}</p>`.markup,
    '<p><b title="&quot;&#39;">a &amp; b</b><b title="&quot;&#39;">a &amp; b</b>0&lt;/p&gt;</p>',
  );
});

test('whatever part of a report is hostile, none of it is markup', () => {
  const hostile = JSON.parse(JSON.stringify(unhealthyReport), (_key, value: unknown) =>
    typeof value === 'string' && !['passed', 'failed', 'not run', 'tcg', 'check'].includes(value) ? HOSTILE : value,
  ) as BootReport;
  const html = htmlOf(hostile);
  assert.not.match(html, /<script|<img src="(?!data:)|<\/mark>\]|(?![\t\n])\p{Cc}|\u202e/u);
  assert.match(html, '&lt;script&gt;');
});

test('a failure links to the lines of the log it quotes', () => {
  const html = htmlOf(panickedReport);
  assert.match(html, '<a href="#marked">Lines 16 to 31 of the serial log</a>, and 2 more');
  assert.match(html, /<details open><summary>Lines 1 to 31<\/summary>/);
  assert.is(html.match(/<mark/g)?.length, 16);
  assert.is(html.match(/<mark id="marked">/g)?.length, 1);
});

test('without a marked part, the end of the log is what to look at, unless it was a check that failed', () => {
  const silent = panickedReport.boots.map(({ marked: _, ...boot }) => boot);
  const html = htmlOf({ ...panickedReport, reason: { code: 'silent', message: 'x' }, boots: silent });
  assert.match(html, 'Lines 18 to 31 of the serial log');
  const checked = htmlOf({ ...panickedReport, reason: { code: 'check', message: 'x' }, boots: silent });
  assert.not.match(checked, '<mark');
});

/** The lines that are marked when these checks have failed on a machine with that console. */
function marked(console: string[], seen: string[], code: 'check' | 'timeout' = 'check'): string[] {
  const checks = seen.map((text) => ({
    name: 'all units have started',
    kind: 'always',
    status: 'failed' as const,
    seen: text,
    at: 1,
    attempts: 1,
  }));
  const boots = [{ checks, times: {}, console: console.join('\n') }];
  const html = htmlOf({ ...unhealthyReport, reason: { code, message: 'x' }, boots });
  return [...html.matchAll(/<mark[^>]*>([^<]*)</g)].map(([, line = '']) => line.replaceAll('&#39;', "'"));
}

test('a failed check marks what systemd says of the unit, else of the first that failed', () => {
  const [swap, more] = [
    '[FAILED] Failed to start swap.service - Swap.',
    "See 'systemctl status swap.service' for details.",
  ];
  const web = ['[ TIME ] Timed out waiting for web.socket.', '[DEPEND] Dependency failed for web.service - Web.'];
  const log = ['[  OK  ] Started a.', swap, more, '[  OK  ] Started b.', ...web, 'web-1 login: '];
  assert.equal(marked(log, ['1 failed: web.service']), [web[1]]);
  assert.equal(marked(log, ['1 failed: web.socket']), web);
  assert.equal(marked(log, ['HTTP 502']), [swap, more]);
  assert.equal(marked(log, [], 'timeout'), [swap, more]);
  assert.equal(marked(['[  OK  ] Started a.'], ['HTTP 502']), []);
  assert.equal(marked(['[  OK  ] Started a.'], [], 'timeout'), ['[  OK  ] Started a.']);
});

test('a report of failed checks opens its log where the unit failed', () => {
  const html = htmlOf(unhealthyReport);
  assert.match(html, /<details open>[^]*<mark id="marked">\[FAILED\] Failed to start web\.service/);
});

test('of a machine that cannot be asked no health is said', () => {
  const html = htmlOf(loginReport);
  assert.match(html, '<h1>web boots to its login prompt on raspi4b; whether it is healthy was not checked</h1>');
  assert.match(html, '1 of 4 checks passed, 3 not run');
  assert.match(html, /<tr class="not-run">[^]*application answers/);
});

test('without health checks nothing is said of a time until then', () => {
  const [boot] = passedReport.boots;
  assert.ok(boot);
  const unasked = { ...boot, times: { ...boot.times, health: 0 } };
  assert.not.match(htmlOf({ ...passedReport, boots: [unasked] }), /healthy after|>healthy</);
  const { earlier = { started: 0, buildId: '' } } = passedReport;
  assert.match(htmlOf({ ...passedReport, earlier: { ...earlier, health: 0 } }), 'healthy after 58.9 s · ');
});

test('a passed report marks nothing and keeps the log folded', () => {
  const html = htmlOf(passedReport);
  assert.not.match(html, /<mark|<details open|class="reason"/);
  assert.match(html, '12 of 12 checks passed · healthy after 58.9 s, +3.3 s (+6 %) against the last passed test');
});

test('a machine that said nothing has no log', () => {
  const html = htmlOf({ ...panickedReport, boots: [{ checks: [], times: {}, console: '\n' }] });
  assert.not.match(html, /Serial log|<pre|there was no boot/);
  assert.match(html, '0 of 0 checks passed');
});

test('two boots are told apart, only the first has earlier times; no boot has no sections', () => {
  const html = htmlOf(rebootedReport);
  assert.match(html, /<h2>Boot 1: times<\/h2>[^]*>change<[^]*<h2>Boot 2: times<\/h2>/);
  assert.is(html.match(/>change</g)?.length, 1);
  const none = htmlOf(wouldNotBootReport);
  assert.match(none, 'there was no boot');
  assert.not.match(none, /<h2>(Checks|Times|Serial log|Warnings)/);
});

test.run();
