// Sound machines, two at the same time and each a second time: `piimg test A B --jobs 2 --reboot`, with every kind of check.
import { link, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BootReport, BootRun } from '../../src/boot/report.ts';
import { run } from '../../src/host/exec.ts';
import { healthCheck } from '../../src/role/schema/health.ts';
import { builtWeb, showDetail } from '../helpers/built.ts';
import { piimgCommand } from '../helpers/command.ts';
import { imageWith, ROLE_FILE, roleWith } from '../helpers/changed-image.ts';

const HEALTH = [
  { check: 'unit', unit: 'web.service' },
  { check: 'tcp', port: 22, expect: 'SSH-2.0' },
  { check: 'http', port: 3000, path: '/health', body: 'ok' },
  { check: 'http', port: 3000, path: '/api/health', json: { status: 'ok', role: 'web' } },
  // The status of a command that was ended at its deadline, had it not ended by itself.
  { check: 'command', command: 'echo by itself; exit 124', exit: 124, output: 'by itself' },
  { check: 'file', path: '/etc/os-release', contains: 'trixie' },
  { check: 'mount', path: '/', options: ['noatime'] },
  { check: 'closed', port: 3306 },
  // Times are never asserted: an hour.
  { check: 'reached', unit: 'web.service', seconds: 3600 },
].map((check) => healthCheck.parse(check));

/** What a check has seen in a boot; it must have passed. */
function seenBy(boot: BootRun | undefined, name: string): string {
  const check = boot?.checks.find((one) => one.name === name);
  assert.is(check?.status, 'passed', `${name}: ${check?.seen}`);
  return check?.seen ?? '';
}

test('every kind of check is asked for', () => {
  const kinds = healthCheck.options.map(({ shape }) => shape.check.value);
  assert.equal(new Set(HEALTH.map(({ check }) => check)), new Set(kinds));
});

test('two machines of one image pass, each with an identity of its own that a second boot keeps', async () => {
  const { image, cacheDir } = await builtWeb();
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-again-'));
  const role = await roleWith(image, 'health', () => HEALTH);
  const first = await imageWith(image, folder, 'first', { files: { [ROLE_FILE]: role } });
  const second = path.join(folder, 'second.img');
  await link(first, second);
  const { stdout } = await run([...piimgCommand(), 'test', first, second, '--jobs', '2', '--reboot', '--json'], {
    env: { PIIMG_CACHE: cacheDir },
    signal: AbortSignal.timeout(30 * 60_000),
  }).catch(showDetail);
  await rm(folder, { recursive: true });

  const { passed, tests } = JSON.parse(stdout) as { passed: boolean; tests: { report: BootReport }[] };
  assert.is(passed, true);
  const reports = tests.map(({ report }) => report);
  assert.equal(
    reports.map(({ image: { file }, verdict, boots }) => [path.basename(file), verdict, boots.length]),
    [
      ['first.img', 'passed', 2],
      ['second.img', 'passed', 2],
    ],
  );
  for (const { boots, warnings } of reports) {
    for (const { checks } of boots) {
      const asked = checks.filter(({ kind }) => kind !== 'always');
      assert.equal(
        asked.map(({ kind, status }) => [kind, status]),
        HEALTH.map(({ check }) => [check, 'passed']),
      );
      assert.equal(
        checks.filter(({ status }) => status !== 'passed').map(({ name, seen }) => `${name}: ${seen}`),
        [],
      );
    }
    assert.equal(
      warnings.filter((warning) => /could not be read/.test(warning)),
      [],
    );
    assert.is(seenBy(boots[1], 'identity of the first boot'), seenBy(boots[0], 'identity of its own'));
  }
  const [one, other] = reports.map(({ boots }) => seenBy(boots[0], 'identity of its own'));
  assert.is.not(one, other);
});

test.run();
