// `piimg test` on the image as the SD card of an emulated Raspberry Pi 3: its own device tree, SD controller, USB network card.
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BootReport } from '../../src/boot/report.ts';
import { run } from '../../src/host/exec.ts';
import { builtWeb, piimgCommand } from '../helpers/built.ts';
import { digestOfFile } from '../../src/lib/digest.ts';

const { image, manifest, cacheDir } = await builtWeb();

test('a Raspberry Pi 3 boots from the card, is healthy, and switches itself off', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-raspi3b-'));
  try {
    const command = [...piimgCommand(), 'test', image, '--machine', 'raspi3b', '--reports', folder, '--json'];
    const { stdout, stderr, exitCode } = await run(command, {
      cwd: path.dirname(path.dirname(image)),
      env: { PIIMG_CACHE: cacheDir },
      okCodes: [0, 1],
      signal: AbortSignal.timeout(25 * 60_000),
    });
    const { passed, tests } = JSON.parse(stdout) as { passed: boolean; tests: { report: BootReport }[] };
    const [{ report } = { report: undefined }] = tests;
    const boot = report?.boots[0];
    assert.ok(boot, stderr);
    const seen = boot.checks.map(({ name, status, seen: what }) => `${status}: ${name}: ${what}`).join('\n');
    assert.equal([passed, exitCode, tests.length, report?.reason], [true, 0, 1, undefined], `${seen}\n${stderr}`);
    assert.ok(boot.checks.every(({ status }) => status === 'passed'));
    const names = boot.checks.map(({ name }) => name);
    // One of the base, of the role, and of what is always asked.
    for (const name of [
      'ssh answers',
      'application calls itself ok',
      'root fills the card',
      'file systems are clean',
    ]) {
      assert.ok(names.includes(name), name);
    }
    assert.match(boot.console, 'Machine model: Raspberry Pi 3 Model B');
    assert.match(boot.console, `root=PARTUUID=${manifest.disk.partitions[1]?.partuuid}`);
    assert.match(boot.console, /EXT4-fs \(mmcblk\dp2\): resized/);
    assert.match(boot.console, /Cloud-init v\. \S+ finished at .*Datasource DataSourceNoCloud/);
    assert.equal(boot.console.match(/^.*(\[(FAILED|DEPEND)\]|Kernel panic|fsck not present).*$/gm), null);
    assert.is(await digestOfFile(image), manifest.image.sha256);
    assert.equal((await readdir(folder)).sort(), ['web.raspi3b.html', 'web.raspi3b.junit.xml']);
    assert.match(await readFile(path.join(folder, 'web.raspi3b.html'), 'utf8'), 'web boots and is healthy on raspi3b');
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.run();
