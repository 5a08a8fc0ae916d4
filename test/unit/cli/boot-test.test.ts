// A boot test that is refused before anything is made for it.
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadMachine } from '../../../src/boot/machine.ts';
import type { BootImage } from '../../../src/cli/boot-image.ts';
import { testBoot } from '../../../src/cli/boot-test.ts';
import { packageRoot } from '../../../src/host/package-root.ts';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';

const image: BootImage = {
  file: '/nonexistent/tiny.img',
  size: 2 ** 60,
  allocated: 2 ** 60,
  buildId: 'b',
  role: 'tiny',
  base: 'none',
  slots: [],
  partitions: [],
  created: 0,
  health: [],
  identity: [],
  warnings: [],
};

async function refusal(name: string, reboot: boolean): Promise<PiimgError> {
  const machine = await loadMachine(name, [path.join(packageRoot, 'qemu/machines')]);
  const step = { update: () => {}, note: () => {}, cached: () => {}, failed: () => {} };
  const { signal } = new AbortController();
  const error: unknown = await testBoot(image, { machine, reboot, met: [], step, signal }).catch(
    (caught: unknown) => caught,
  );
  assert.instance(error, PiimgError);
  return error as PiimgError;
}

test('a second boot needs a machine that can be switched off', async () => {
  const { message, exitCode } = await refusal('raspi4b', true);
  assert.is(exitCode, EXIT.usage);
  assert.match(message, /^raspi4b cannot be tested with a second boot: /);
});

test('room for what the machine writes is asked for before it is made', async () => {
  const { message, detail, hint } = await refusal('virt', false);
  assert.match(message, /^Too little free space in \S+: [\d.]+ GiB are needed, [\d.]+ [GM]iB are free$/);
  assert.match(detail ?? '', /what the machine writes: 512 MiB in /);
  assert.match(hint ?? '', 'TMPDIR');
});

test.run();
