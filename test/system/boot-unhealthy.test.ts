// Machines that boot and are not healthy: `piimg test` says what is wrong, first of all, and ends with exit code 1.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BootReport, Reason } from '../../src/boot/report.ts';
import { run } from '../../src/host/exec.ts';
import { builtWeb, piimgCommand } from '../helpers/built.ts';
import { partitionOf } from '../helpers/image-files.ts';

const { image, cacheDir } = await builtWeb();
const { offset } = await partitionOf(image, 2);
const ROLE = 'usr/lib/piimg/role.json';

/** A copy of the image with these files written into its root file system, and links made. */
async function imageWith(
  folder: string,
  files: Record<string, string>,
  links: Record<string, string>,
): Promise<string> {
  const copy = path.join(folder, 'web.img');
  await run(['cp', '--sparse=always', '--reflink=auto', image, copy]);
  const commands: string[] = [];
  for (const [number, [name, text]] of Object.entries(files).entries()) {
    const source = path.join(folder, `file-${number}`);
    await writeFile(source, text);
    commands.push(`cd /${path.dirname(name)}`, `rm ${path.basename(name)}`, `write ${source} ${path.basename(name)}`);
  }
  for (const [name, target] of Object.entries(links)) {
    commands.push(`cd /${path.dirname(name)}`, `symlink ${path.basename(name)} ${target}`);
  }
  const script = path.join(folder, 'commands');
  await writeFile(script, `${commands.join('\n')}\n`);
  await run(['debugfs', '-w', '-f', script, `${copy}?offset=${offset}`]);
  return copy;
}

/** The role as the image has it, with another health list. */
async function roleWith(change: (health: { port?: number }[]) => unknown): Promise<string> {
  const { stdout } = await run(['debugfs', '-R', `cat ${ROLE}`, `${image}?offset=${offset}`]);
  const role = JSON.parse(stdout) as { health: { port?: number }[] };
  return JSON.stringify({ ...role, health: change(role.health) });
}

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
    const copy = await imageWith(folder, { [ROLE]: await roleWith((health) => [...health, wrong]) }, {});
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
    const found = await failedReport(await imageWith(folder, { [name]: unit }, links), folder);
    assert.is(found.reason.code, 'check');
    assert.match(found.reason.message, /^all units have started: .*broken\.service/);
  }));

test.run();
