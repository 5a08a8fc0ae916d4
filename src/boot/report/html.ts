// The report as one HTML page: no script, nothing loaded from elsewhere, and nothing a guest said is markup.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../host/package-root.ts';
import type { BootReport } from '../report.ts';
import { type Excerpt, excerptOf } from './excerpt.ts';
import { countsOf, headlineOf } from './headline.ts';
import { bootSections } from './html-boot.ts';
import { type Markup, markup, verbatim } from './markup.ts';
import { inSeconds, momentOf, timeRows } from './times.ts';

/**
 * The page, verdict first. Its content security policy lets the browser take the one style sheet and embedded pictures, so that
 * even a hole in the escaping would run and fetch nothing.
 */
export function htmlOf(report: BootReport): string {
  const css = readFileSync(path.join(packageRoot, 'src/boot/report/report.css'), 'utf8');
  const cssHash = createHash('sha256').update(css).digest('base64');
  const { image, machine, boots, verdict } = report;
  const excerpt = excerptOf(report);
  const passed = verdict === 'passed';
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-${cssHash}'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${passed ? '✓' : '✗'} ${image.role} on ${machine.name}</title>
<link rel="icon" href="data:,">
<style>${verbatim(css)}</style>
</head>
<body>
<header class="verdict ${verdict}">
<h1>${headlineOf(report)}</h1>
${passed ? undefined : whatFailed(report)}${excerpt === undefined ? undefined : quotation(excerpt)}
<p class="muted">${summary(report)}</p>
</header>
<main>
${boots.map((boot, index) =>
  bootSections(boot, {
    title: boots.length > 1 ? `Boot ${index + 1}: ` : '',
    earlier: index === 0 ? report.earlier : undefined,
    excerpt: excerpt?.boot === index ? excerpt : undefined,
  }),
)}
<div class="columns">
${list('Warnings', report.warnings)}
${list('Not exercised on this machine', report.notExercised)}
</div>
${identity(report)}
</main>
</body>
</html>
`.markup;
}

function whatFailed({ reason, boots }: BootReport): Markup {
  const failed = boots.flatMap(({ checks }) => checks).filter(({ status }) => status === 'failed');
  const items = failed.map(
    ({ name, seen, expected }) =>
      markup`<li><strong>${name}</strong>: ${seen}${expected === undefined ? undefined : markup` <span class="muted">instead of ${expected}</span>`}</li>\n`,
  );
  return markup`<p class="reason">${prose(reason?.message ?? '')}</p>
${items.length > 0 ? markup`<ul>\n${items}</ul>\n` : undefined}${reason?.hint === undefined ? undefined : markup`<p class="hint"><strong>What to do:</strong> ${prose(reason.hint)}</p>\n`}`;
}

/** What stands between backticks is to be typed. */
function prose(text: string): Markup[] {
  return text.split('`').map((part, index) => (index % 2 === 0 ? markup`${part}` : markup`<code>${part}</code>`));
}

function quotation({ from, to, lines, more }: Excerpt): Markup {
  const rest = more > 0 ? `, and ${more} more` : '';
  return markup`<pre class="excerpt">${lines.join('\n')}</pre>
<p class="screen"><a href="#marked">${to - from > 1 ? `Lines ${from + 1} to ${to}` : `Line ${to}`} of the serial log</a>${rest}</p>`;
}

/** `12 of 12 checks passed · healthy after 58.9 s, +3.3 s (+6 %) against the last passed test · 78.3 s in all`. */
function summary(report: BootReport): string {
  const { boots, earlier, seconds } = report;
  const healthy = timeRows({ health: boots[0]?.times.health }, earlier).map(
    ({ now, change }) => `healthy after ${now}${change === '' ? '' : `, ${change} against the last passed test`}`,
  );
  return [boots.length === 0 ? 'there was no boot' : countsOf(report), ...healthy, `${inSeconds(seconds)} in all`].join(
    ' · ',
  );
}

function list(title: string, items: string[]): Markup | undefined {
  if (items.length === 0) return undefined;
  return markup`<section><h2>${title}</h2><ul class="card">\n${items.map((item) => markup`<li>${item}</li>\n`)}</ul></section>`;
}

const ACCELERATORS = {
  kvm: 'KVM',
  hvf: 'Hypervisor.framework',
  tcg: 'none: every instruction emulated (TCG)',
} satisfies Record<BootReport['machine']['accelerator'], string>;

function identity({ image, machine, started }: BootReport): Markup {
  const facts = (title: string, rows: [string, string | Markup][]): Markup =>
    markup`<section><h2>${title}</h2><dl class="card">\n${rows.map(([name, value]) => markup`<dt>${name}</dt><dd>${value}</dd>\n`)}</dl></section>`;
  return markup`<div class="columns">
${facts('Image', [
  ['file', image.file],
  ['role', image.role],
  ['base', image.base],
  ['build id', markup`<code>${image.buildId}</code>`],
  ['sha256', markup`<code>${image.sha256}</code>`],
])}
${facts('Machine', [
  ['machine', `${machine.name}: ${machine.title}`],
  ['QEMU', machine.qemu],
  ['acceleration', ACCELERATORS[machine.accelerator]],
  ['tested', momentOf(started)],
])}
</div>`;
}
