// Role web on a look-alike of Raspberry Pi OS as its base: built, tested as a Raspberry Pi 3, healthy after the image's own first boot.
import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BootReport } from '../../src/boot/report.ts';
import { cacheFolder } from '../../src/cli/context.ts';
import { run } from '../../src/host/exec.ts';
import { makeLookAlike } from '../fixtures/raspios/make.ts';
import { piimgCommand, showDetail } from '../helpers/built.ts';

test('role web on trixie with cloud-init: seeded, booted, healthy', async () => {
  const folder = await mkdtemp('/var/tmp/piimg-raspios-');
  try {
    const base = await makeLookAlike('trixie-512', { size: 'bootable', folder });
    const env = { PIIMG_CACHE: cacheFolder(process.env) };
    const build = ['build', '--role', 'web', '--base', `./${path.basename(base)}`, '--progress', 'log'];
    const signal = AbortSignal.timeout(20 * 60_000);
    await run([...piimgCommand(), ...build], { cwd: folder, env, signal }).catch(showDetail);
    // It seeds its throw-away card with a login and an identity of its own.
    const testing = ['test', 'out/web.img', '--machine', 'raspi3b', '--reports', folder, '--json'];
    const { stdout, stderr } = await run([...piimgCommand(), ...testing], {
      cwd: folder,
      env,
      okCodes: [0, 1],
      signal: AbortSignal.timeout(30 * 60_000),
    });
    const { passed, tests } = JSON.parse(stdout) as { passed: boolean; tests: { report: BootReport }[] };
    const boot = tests[0]?.report.boots[0];
    const seen = boot?.checks.map(({ name, status, seen: what }) => `${status}: ${name}: ${what}`).join('\n');
    assert.ok(passed, `${seen}\n${stderr}`);
    const names = boot?.checks.map(({ name }) => name) ?? [];
    for (const name of ['application calls itself ok', 'root fills the card']) assert.ok(names.includes(name), name);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test.run();
