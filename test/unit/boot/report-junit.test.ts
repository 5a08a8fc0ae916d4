// The JUnit report, read by a strict XML parser that knows the order and attributes which consumers insist on.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BootReport } from '../../../src/boot/report.ts';
import { junitOf } from '../../../src/boot/report/junit.ts';
import { run } from '../../../src/host/exec.ts';
import {
  loginReport,
  panickedReport,
  passedReport,
  rebootedReport,
  unhealthyReport,
  wouldNotBootReport,
} from '../../helpers/boot-reports.ts';

/** What Ant's and Jenkins' schemas of JUnit reports have in common. */
const DTD = `
<!ELEMENT testsuites (testsuite*)>
<!ATTLIST testsuites name CDATA #REQUIRED tests CDATA #REQUIRED failures CDATA #REQUIRED errors CDATA #REQUIRED time CDATA #REQUIRED>
<!ELEMENT testsuite (properties, testcase*, system-out, system-err)>
<!ATTLIST testsuite name CDATA #REQUIRED tests CDATA #REQUIRED failures CDATA #REQUIRED errors CDATA #REQUIRED
  skipped CDATA #REQUIRED time CDATA #REQUIRED timestamp CDATA #REQUIRED hostname CDATA #REQUIRED id NMTOKEN #REQUIRED package CDATA #REQUIRED>
<!ELEMENT properties (property*)>
<!ELEMENT property EMPTY>
<!ATTLIST property name CDATA #REQUIRED value CDATA #REQUIRED>
<!ELEMENT testcase (skipped | failure)?>
<!ATTLIST testcase name CDATA #REQUIRED classname CDATA #REQUIRED time CDATA #REQUIRED>
<!ELEMENT failure (#PCDATA)>
<!ATTLIST failure type CDATA #REQUIRED message CDATA #REQUIRED>
<!ELEMENT skipped EMPTY>
<!ATTLIST skipped message CDATA #REQUIRED>
<!ELEMENT system-out (#PCDATA)>
<!ELEMENT system-err (#PCDATA)>
`;

/** Parses and validates XML; the values of XPath expressions. Rejects what is not well formed or not valid. */
async function ask(xml: string, expressions: string[]): Promise<string[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-junit-'));
  const [file, dtd] = [path.join(folder, 'report.xml'), path.join(folder, 'junit.dtd')];
  try {
    await Promise.all([writeFile(file, xml), writeFile(dtd, DTD)]);
    await run(['xmllint', '--nonet', '--noout', '--dtdvalid', dtd, file]);
    const query = async (expression: string) =>
      (await run(['xmllint', '--nonet', '--xpath', expression, file])).stdout.trim();
    return await Promise.all(expressions.map(query));
  } finally {
    await rm(folder, { recursive: true });
  }
}

const COUNTS = [
  'string(/testsuites/@tests)',
  'count(//testcase)',
  'string(/testsuites/@failures)',
  'count(//failure)',
  'sum(//testsuite/@skipped)',
  'count(//skipped)',
];

for (const [title, report, [tests, failures, skipped], failing] of [
  ['a passed boot', passedReport, [13, 0, 0], ''],
  ['two boots', rebootedReport, [19, 0, 0], ''],
  ['a failed check', unhealthyReport, [13, 3, 1], 'application runs'],
  ['a panic', panickedReport, [13, 1, 12], 'boot'],
  ['a card that would not boot', wouldNotBootReport, [1, 1, 0], 'boot'],
  ['a boot to the login prompt', loginReport, [5, 0, 3], ''],
] satisfies [string, BootReport, number[], string][]) {
  test(`${title} is valid and counts what it holds`, async () => {
    const [first, ...counts] = await ask(junitOf(report), ['string(//testcase[failure]/@name)', ...COUNTS]);
    assert.equal(
      counts.map(Number),
      [tests, failures, skipped].flatMap((count) => [count, count]),
    );
    assert.is(first, failing);
  });
}

test('what a guest says is text, without what XML forbids', async () => {
  const [text, message, type, script] = await ask(junitOf(panickedReport), [
    'string(//system-out)',
    'string(//failure/@message)',
    'string(//failure/@type)',
    'count(//script)',
  ]);
  assert.match(text ?? '', '<script>document.title="taken"</script>');
  assert.match(text ?? '', ']]>&amp; red gnorw\n');
  assert.is(message, panickedReport.reason?.message);
  assert.equal([type, script], ['panic', '0']);
});

test('the verdict says how far a boot was followed', async () => {
  const verdict = 'string(//property[@name="verdict"]/@value)';
  assert.equal(await ask(junitOf(loginReport), [verdict]), [
    'web boots to its login prompt on raspi4b; whether it is healthy was not checked',
  ]);
});

test('times and the moment are those of the boot', async () => {
  assert.equal(
    await ask(junitOf(rebootedReport), [
      'string(/testsuites/@time)',
      'string(//testsuite[1]/@timestamp)',
      'string(//testcase[@name="application runs"]/@time)',
      'string(//testsuite[2]/properties/property[@name="time: healthy"]/@value)',
      'count(//testcase[@classname="web.virt" and @name="boot"])',
    ]),
    ['78.300', '2026-11-21T06:00:00', '55.200', '40.2 s', '1'],
  );
});

test('the parser refuses what consumers would', async () => {
  const good = junitOf(passedReport);
  for (const [from, to] of [
    ['web on virt', 'web on virt\0'],
    ['web on virt', 'web & virt'],
    [' hostname="virt"', ''],
    ['<properties>', '<system-out/><properties>'],
  ] as const) {
    const rejected = await ask(good.replace(from, to), ['1']).then(
      () => false,
      () => true,
    );
    assert.ok(good.includes(from) && rejected, to);
  }
});

test.run();
