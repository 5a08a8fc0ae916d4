// `piimg test` on an emulated Raspberry Pi 4, with Debian 13's QEMU where this system's is older than the machine.
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadMachine, qemuFor } from '../../src/boot/machine.ts';
import type { BootReport } from '../../src/boot/report.ts';
import { run } from '../../src/host/exec.ts';
import { packageRoot } from '../../src/host/package-root.ts';
import { EXIT, PiimgError } from '../../src/lib/errors.ts';
import { TRIPLET } from '../../src/sandbox/shadow.ts';
import { builtWeb } from '../helpers/built.ts';
import { piimgCommand } from '../helpers/command.ts';
import { bootstrapDebian } from '../helpers/fresh-debian.ts';

const { image, cacheDir } = await builtWeb();
const machine = await loadMachine('raspi4b', [path.join(packageRoot, 'qemu/machines')]);

const isTooOld = (error: unknown): true => {
  if (error instanceof PiimgError && error.exitCode === EXIT.missingTool) return true;
  throw error;
};

/** A folder for PATH with Debian 13's QEMU, which runs on its own libraries. */
async function newerQemu(folder: string): Promise<string> {
  const root = path.join(folder, 'root');
  await bootstrapDebian(root, 'trixie', ['qemu-system-arm']);
  const bin = path.join(folder, 'bin');
  await mkdir(bin);
  const program = path.join(bin, 'qemu-system-aarch64');
  const loader = `"${root}"/lib*/ld-linux-*.so.*`;
  const words = `--library-path "${root}/usr/lib/${TRIPLET}" "${root}/usr/bin/qemu-system-aarch64" -L "${root}/usr/share/qemu"`;
  await writeFile(program, `#!/bin/sh\nexec ${loader} ${words} "$@"\n`);
  await chmod(program, 0o755);
  return bin;
}

test('a Raspberry Pi 4 boots from the card to its login prompt, and no further, as is said', async () => {
  const folder = await mkdtemp('/var/tmp/piimg-raspi4b-');
  try {
    const own = await qemuFor(machine).catch(isTooOld);
    const newer = own === true ? [await newerQemu(folder)] : [];
    const PATH = [...newer, process.env['PATH']].join(':');
    const command = [...piimgCommand(), 'test', image, '--machine', 'raspi4b', '--reports', folder, '--json'];
    const { stdout, stderr } = await run(command, {
      cwd: path.dirname(path.dirname(image)),
      env: { PATH, PIIMG_CACHE: cacheDir },
      okCodes: [0, 1],
      signal: AbortSignal.timeout(30 * 60_000),
    });
    const { passed, tests } = JSON.parse(stdout) as { passed: boolean; tests: { report: BootReport }[] };
    const report = tests[0]?.report;
    const boot = report?.boots[0];
    assert.equal([passed, report?.reason], [true, undefined], stderr);
    assert.match(boot?.console ?? '', 'Machine model: Raspberry Pi 4 Model B');
    assert.match(boot?.console ?? '', /EXT4-fs \(mmcblk\dp2\): resized/);
    assert.match(boot?.console ?? '', /^web login:/m);
    const asked = boot?.checks.filter(({ status }) => status !== 'not run').map(({ name }) => name);
    assert.equal(asked, ['asks for a login']);
    assert.ok(report?.notExercised.some((sentence) => sentence.startsWith('The network, and so the health checks')));
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.run();
