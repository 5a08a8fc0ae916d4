// `piimg doctor` checks every row of the table and says what to do.
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as z from 'zod';
import { formatChecks } from '../../../src/cli/commands/doctor.ts';
import type { Check } from '../../../src/host/doctor.ts';
import { toolsFor } from '../../../src/host/requirements.mjs';
import { EXIT } from '../../../src/lib/errors.ts';
import { styleFor } from '../../../src/ui/style.ts';
import { piimg, withFolder } from './piimg.ts';

const report = z.strictObject({
  ok: z.boolean(),
  checks: z.array(
    z.strictObject({
      name: z.string(),
      kind: z.enum(['tool', 'environment']),
      reason: z.string(),
      needed: z.array(z.enum(['build', 'boot', 'seed', 'flash', 'test', 'bench'])),
      ok: z.boolean(),
      found: z.string(),
      minimum: z.string().optional(),
      path: z.string().optional(),
      package: z.string().optional(),
      remedy: z.string().optional(),
    }),
  ),
});

test('--json has every tool and the environment, a remedy wherever something is wrong, and the exit code agrees', async () => {
  const { stdout, exitCode } = await piimg(['doctor', '--json']);
  const { ok, checks } = report.parse(JSON.parse(stdout));
  const names = checks.map(({ name }) => name);
  for (const { name } of toolsFor(['build', 'boot', 'seed', 'flash', 'test', 'bench']))
    assert.ok(names.includes(name), name);
  assert.equal(
    checks.filter(({ kind }) => kind === 'environment').map(({ name }) => name),
    ['Node.js', 'namespaces', 'subordinate ids', 'arm64 programs', 'free space'],
  );
  for (const check of checks) assert.is(check.ok, check.remedy === undefined, check.name);
  assert.is(
    ok,
    checks.every((check) => check.ok || !check.needed.includes('build')),
  );
  assert.is(exitCode, ok ? EXIT.done : EXIT.missingTool);
});

test('the cache folder need not exist for its free space to be known', () =>
  withFolder(async (folder) => {
    const { stdout } = await piimg(['doctor', '--json'], { env: { PIIMG_CACHE: path.join(folder, 'a/b/c') } });
    const space = report.parse(JSON.parse(stdout)).checks.find(({ name }) => name === 'free space');
    assert.match(space?.found ?? '', /^\d+\.\d GiB$/);
  }));

test('what is missing is listed with its remedy; only tests needing it is no alarm', () => {
  const check = (name: string, needed: Check['needed'], rest: Partial<Check>): Check => ({
    name,
    kind: 'tool',
    reason: 'do things',
    needed,
    ok: true,
    found: '1.0',
    ...rest,
  });
  const text = formatChecks(
    [
      check('good', ['build'], {}),
      check('old', ['build'], { ok: false, found: '0.9', minimum: '1.0', remedy: 'upgrade' }),
      check('gone', ['test'], { ok: false, found: 'missing', minimum: '1.0', remedy: 'install' }),
    ],
    styleFor({}, {}),
  );
  assert.is(
    text,
    `ok       good  1.0      do things
MISSING  old   0.9      do things
missing  gone  missing  do things (only test)

To do (piimg doctor --fix does what it can):
  old   0.9, needs 1.0  upgrade
  gone  missing         install`,
  );
});

test.run();
