// Each faulty role has its printed report beside it.
import { readdirSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';
import { printReport, type Issue } from '../../../src/lib/yaml/report.ts';
import { resolveRole } from '../../../src/role/resolve.ts';
import { baseDirs, bases, fixtures, golden, portable, root } from './golden.ts';

const search = { roleDirs: [`${root}/images/roles`], overlayDirs: [`${fixtures}/overlays`], baseDirs };

function rolesIn(folder: string): string[] {
  return readdirSync(`${fixtures}/${folder}`)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => file.slice(0, -'.yaml'.length));
}

for (const name of rolesIn('invalid')) {
  test(`reports what is wrong with ${name}`, async () => {
    const file = `${fixtures}/invalid/${name}`;
    const error: unknown = await resolveRole(`${file}.yaml`, search, bases).then(
      () => undefined,
      (caught: unknown) => caught,
    );
    assert.instance(error, PiimgError);
    if (!(error instanceof PiimgError)) return;
    assert.is(error.exitCode, EXIT.usage);
    assert.match(error.detail ?? '', 'error: ');
    const report = printReport(error.cause as Issue[], root);
    golden(`${file}.expected.txt`, portable(`${error.message}\n\n${report}\n`));
  });
}

for (const name of rolesIn('warned')) {
  test(`warns of ${name}`, async () => {
    const file = `${fixtures}/warned/${name}`;
    const { warnings } = await resolveRole(`${file}.yaml`, search, bases);
    assert.ok(warnings.every(({ severity }) => severity === 'warning'));
    golden(`${file}.expected.txt`, portable(`${printReport(warnings, root)}\n`));
  });
}

test.run();
