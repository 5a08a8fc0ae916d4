// The sections of the HTML report that tell of one boot: checks, times, time line, serial log.
import type { BootRun, BootTimes, CheckResult, EarlierTimes } from '../report.ts';
import type { Excerpt } from './excerpt.ts';
import { type Markup, markup } from './markup.ts';
import { inSeconds, momentOf, timeRows } from './times.ts';

/** `title` begins every heading; `excerpt` is the part of this boot's log to mark. */
export function bootSections(
  boot: BootRun,
  { title, earlier, excerpt }: { title: string; earlier?: EarlierTimes | undefined; excerpt?: Excerpt | undefined },
): Markup {
  return markup`${checkTable(title, boot.checks)}
${timeTable(title, boot.times, earlier)}
${plot(title, boot.plot)}
${log(title, boot.console, excerpt)}
`;
}

const heading = (title: string, what: string): Markup =>
  markup`<h2>${title}${title === '' ? what : what.toLowerCase()}</h2>`;

const COLOURS = { passed: 'good', failed: 'bad', 'not run': 'muted' } satisfies Record<CheckResult['status'], string>;

function checkTable(title: string, checks: CheckResult[]): Markup | undefined {
  if (checks.length === 0) return undefined;
  if (checks.every(({ status }) => status === 'not run')) {
    const names = checks.map(({ name }) => name).join(', ');
    return markup`<section>${heading(title, 'Checks')}<p class="card">None was run: ${names}.</p></section>`;
  }
  const rows = checks.map(
    ({ name, kind, status, seen, expected, at, attempts }) => markup`<tr class="${status.replace(' ', '-')}">
<td class="status ${COLOURS[status]}">${status}</td><th scope="row">${name}${kind === 'always' ? undefined : markup` <span class="muted">${kind}</span>`}</th>
<td class="said" data-label="expected">${expected}</td><td class="said" data-label="seen">${seen}</td>
${status === 'not run' ? markup`<td></td><td></td>` : markup`<td class="number" data-label="at">${inSeconds(at)}</td><td class="number" data-label="attempts">${attempts}</td>`}
</tr>
`,
  );
  return markup`<section>${heading(title, 'Checks')}
<table class="checks">
<thead><tr><th></th><th>check</th><th>expected</th><th>seen</th><th class="number">at</th><th class="number">attempts</th></tr></thead>
<tbody>
${rows}</tbody>
</table></section>`;
}

function timeTable(title: string, times: BootTimes, earlier: EarlierTimes | undefined): Markup | undefined {
  const rows = timeRows(times, earlier);
  if (rows.length === 0) return undefined;
  const columns = earlier === undefined ? ['this test'] : ['this test', 'last passed', 'change'];
  const cells = rows.map(({ label, now, before, change }) => ({
    label,
    values: earlier ? [now, before, change] : [now],
  }));
  return markup`<section>${heading(title, 'Times')}
<table class="times">
${earlier && markup`<caption>last passed: ${momentOf(earlier.started)}, build ${earlier.buildId.slice(0, 12)}</caption>\n`}<thead><tr><th></th>${columns.map((column) => markup`<th class="number">${column}</th>`)}</tr></thead>
<tbody>
${cells.map(({ label, values }) => markup`<tr><th scope="row">${label}</th>${values.map((value) => markup`<td class="number">${value}</td>`)}</tr>\n`)}</tbody>
</table></section>`;
}

/** A picture, not part of the page: a browser runs no script in it and fetches nothing for it. */
function plot(title: string, svg: string | undefined): Markup | undefined {
  if (svg === undefined) return undefined;
  const source = `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`;
  return markup`<section>${heading(title, 'Boot time line')}
<figure class="plot" tabindex="0"><img src="${source}" alt="Time line of all units, drawn by systemd-analyze"></figure></section>`;
}

/** Open when there is something to look at. */
function log(title: string, console: string, excerpt: Excerpt | undefined): Markup | undefined {
  if (console.trim() === '') return undefined;
  const lines = console.trimEnd().split('\n');
  const marked = (index: number) => excerpt !== undefined && index >= excerpt.from && index < excerpt.to;
  const shown = lines.map((line, index) => {
    if (!marked(index)) return markup`<span>${line}</span>`;
    return index === excerpt?.from ? markup`<mark id="marked">${line}</mark>` : markup`<mark>${line}</mark>`;
  });
  return markup`<section class="screen">${heading(title, 'Serial log')}
<details${excerpt ? markup` open` : undefined}><summary>Lines 1 to ${lines.length}</summary>
<pre class="log" tabindex="0">${shown}</pre></details></section>`;
}
