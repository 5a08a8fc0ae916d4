// Machines that boot and are not healthy: `piimg test` says what is wrong, first of all, and ends with exit code 1.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BootReport, Reason } from '../../src/boot/report.ts';
import { run } from '../../src/host/exec.ts';
import { builtWeb } from '../helpers/built.ts';
import { piimgCommand } from '../helpers/command.ts';
import { imageWith, ROLE_FILE, roleWith } from '../helpers/changed-image.ts';

const { image, cacheDir } = await builtWeb();

/** What `piimg test` reports of it; it must have failed. */
async function failedReport(copy: string, folder: string): Promise<BootReport & { reason: Reason }> {
  const command = [...piimgCommand(), 'test', copy, '--reports', folder, '--json'];
  const { stdout, exitCode } = await run(command, {
    env: { PIIMG_CACHE: cacheDir },
    okCodes: [0, 1],
    signal: AbortSignal.timeout(20 * 60_000),
  });
  assert.is(exitCode, 1);
  assert.match(await readFile(path.join(folder, 'web.virt.junit.xml'), 'utf8'), '<failure');
  const { tests } = JSON.parse(stdout) as { tests: { report: BootReport }[] };
  const report = tests[0]?.report;
  assert.ok(report?.reason);
  return { ...report, reason: report.reason };
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-unhealthy-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('a wrong port is the reason', () =>
  inFolder(async (folder) => {
    const wrong = { check: 'tcp', name: 'something on port 3999', port: 3999, within: 10 };
    const role = await roleWith(image, 'health', (health) => [...health, wrong]);
    const copy = await imageWith(image, folder, 'web', { files: { [ROLE_FILE]: role } });
    const found = await failedReport(copy, folder);
    assert.is(found.reason.code, 'check');
    assert.match(found.reason.message, /^something on port 3999: /);
    const failed = found.boots[0]?.checks.filter(({ status }) => status === 'failed').map(({ name }) => name);
    assert.equal(failed, ['something on port 3999']);
  }));

test('a unit that fails is the reason', () =>
  inFolder(async (folder) => {
    const unit = '[Unit]\nDescription=Broken\n[Service]\nType=oneshot\nExecStart=/bin/false\n';
    const name = 'etc/systemd/system/broken.service';
    const links = { 'etc/systemd/system/multi-user.target.wants/broken.service': '/etc/systemd/system/broken.service' };
    const copy = await imageWith(image, folder, 'web', { files: { [name]: unit }, links });
    const found = await failedReport(copy, folder);
    assert.is(found.reason.code, 'check');
    assert.match(found.reason.message, /^all units have started: .*broken\.service/);
  }));

test.run();
