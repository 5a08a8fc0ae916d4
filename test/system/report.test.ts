// The HTML report as people see it: in Chromium, light and dark, on a desk, on a phone, on paper.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BootReport } from '../../src/boot/report.ts';
import { htmlOf } from '../../src/boot/report/html.ts';
import {
  loginReport,
  panickedReport,
  passedReport,
  rebootedReport,
  unhealthyReport,
  wouldNotBootReport,
} from '../helpers/boot-reports.ts';
import { type Page, type Screen, withChromium } from '../helpers/chromium.ts';
import { faultsOf } from '../helpers/page-faults.ts';

const DESK: Screen = { width: 1200, height: 900, scheme: 'light' };
const PHONE: Screen = { width: 390, height: 844, scheme: 'light' };
const SCREENS = [DESK, PHONE].flatMap((screen) => [screen, { ...screen, scheme: 'dark' as const }]);

/** Shows pages to `look`, one after another. */
async function showing(look: (show: (html: string, screen: Screen) => Promise<Page>) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-report-'));
  const file = path.join(folder, 'report.html');
  try {
    await withChromium((open) =>
      look(async (html, screen) => {
        await writeFile(file, html);
        return open(file, screen);
      }),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The text of an element that is wholly on the first screen, else what it lacks. */
const onFirstScreen = (selector: string) => `(() => {
  const element = document.querySelector(${JSON.stringify(selector)});
  if (!element) return 'not there';
  const { top, bottom } = element.getBoundingClientRect();
  return top >= 0 && bottom <= innerHeight && element.checkVisibility() ? element.innerText : 'out of sight';
})()`;

const REPORTS: Record<string, BootReport> = {
  'a passed test': passedReport,
  'a passed test with a second boot': rebootedReport,
  'failed checks': unhealthyReport,
  'a panic': panickedReport,
  'a card that would not boot': wouldNotBootReport,
  'a boot to the login prompt': loginReport,
};

for (const [title, report] of Object.entries(REPORTS)) {
  test(`${title} looks right on every screen and asks for nothing`, () =>
    showing(async (show) => {
      for (const screen of SCREENS) {
        const page = await show(htmlOf(report), screen);
        assert.equal(await faultsOf(page, screen.width), [], JSON.stringify(screen));
        const verdict = report.verdict === 'failed' ? 'failed its boot test on virt' : 'boots and is healthy on virt';
        const login = 'boots to its login prompt on raspi4b; whether it is healthy was not checked';
        assert.is(await page.evaluate(onFirstScreen('h1')), `web ${report === loginReport ? login : verdict}`);
        assert.match(await page.evaluate('document.title'), /^[✓✗] web on (virt|raspi4b)$/);
        const [red = 0] = await page.evaluate<number[]>(
          'getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)',
        );
        assert.is(red < 60, screen.scheme === 'dark', `background ${red}`);
        assert.equal(
          await page.evaluate('[...document.images].map(({ naturalWidth }) => naturalWidth)'),
          report.boots.filter(({ plot }) => plot !== undefined).map(() => 1500),
        );
      }
    }));
}

test('a failure says on the first screen what happened and what to do, and shows the lines in the log', () =>
  showing(async (show) => {
    const page = await show(htmlOf(panickedReport), DESK);
    assert.is(await page.evaluate(onFirstScreen('.reason')), panickedReport.reason?.message);
    assert.match(await page.evaluate(onFirstScreen('.hint')), 'What to do: The initramfs ended with an error');
    assert.match(await page.evaluate(onFirstScreen('.excerpt')), 'Kernel panic - not syncing');
    const marked = await page.evaluate<string[]>(
      '[...document.querySelectorAll(".log mark")].map((line) => line.innerText)',
    );
    assert.is(marked.length, 16);
    assert.match(marked[1] ?? '', '<script>document.title="taken"</script><img src="http://198.51.100.1/x.png"');
    const followed = await page.evaluate(`(() => {
      document.querySelector('.verdict a').click();
      return new Promise((resolve) => setTimeout(() => resolve(${onFirstScreen('#marked')}), 200));
    })()`);
    assert.match(String(followed), 'Run /init as init process');
  }));

test('a failed check stands out, in the verdict and in its row', () =>
  showing(async (show) => {
    for (const screen of SCREENS) {
      const page = await show(htmlOf(unhealthyReport), screen);
      assert.match(
        await page.evaluate(onFirstScreen('.verdict li')),
        'application runs: failed (Result: exit-code) instead of active',
      );
      const rows = await page.evaluate<string[]>(
        `[...document.querySelectorAll('.checks tr.failed')].map((row) => row.innerText.replaceAll(/\\s+/g, ' '))`,
      );
      assert.is(rows.length, 3);
      assert.match(rows[2] ?? '', /failed no failed units .*0 failed .*1 failed: web\.service .*119\.0 s/);
      const colours = await page.evaluate<string[]>(
        `['.failed > th', 'tr:not(.failed) > th'].map((row) => {
          const cell = document.querySelector('tbody ' + row);
          return [cell, cell.parentElement].map((at) => getComputedStyle(at).backgroundColor).join();
        })`,
      );
      assert.is.not(colours[0], colours[1]);
    }
  }));

test('on paper the quotation stands for the log, in dark ink', () =>
  showing(async (show) => {
    const page = await show(htmlOf(panickedReport), { ...DESK, scheme: 'dark', media: 'print' });
    assert.equal(await faultsOf(page, DESK.width), []);
    assert.equal(
      await page.evaluate(`['.excerpt', '.log'].map((part) => document.querySelector(part).checkVisibility())`),
      [true, false],
    );
    assert.is(await page.evaluate('getComputedStyle(document.body).color'), 'rgb(28, 34, 39)');
  }));

// Negative controls: what escaping and policy keep out, each let in by hand.
const good = htmlOf(panickedReport);
const withoutPolicy = (html: string) => html.replace(/<meta http-equiv="Content-Security-Policy"[^>]*>/, '');
const unescaped = good
  .replaceAll('&lt;', '<')
  .replaceAll('&gt;', '>')
  .replaceAll('&quot;', '"')
  .replaceAll('&#39;', "'");
const controls: [what: string, html: string, fault: RegExp, ran: boolean][] = [
  ['something too wide', good.replace('<main>', '<main><hr width="900">'), /hr sticks out/, false],
  ['text in pale ink', withoutPolicy(good).replace(/--muted: [^;]+/, '--muted: #888'), /contrast of [34]/, false],
  ['a style sheet that was changed', good.replace(/--muted: [^;]+/, '--muted: #888'), /Content Security Policy/, false],
  ['what the guest wrote, not escaped', unescaped, /Content Security Policy/, false],
  ['the same without the policy', withoutPolicy(unescaped), /has a script/, true],
  ['a picture from elsewhere', withoutPolicy(unescaped), /asks for http:\/\/198\.51\.100\.1\/x\.png/, true],
];

test('each of these faults is found', () =>
  showing(async (show) => {
    for (const [what, html, fault, ran] of controls) {
      const page = await show(html, PHONE);
      assert.match((await faultsOf(page, PHONE.width)).join('\n'), fault, what);
      assert.is(await page.evaluate('document.title'), ran ? 'taken' : '✗ web on virt', what);
    }
  }));

test.run();
