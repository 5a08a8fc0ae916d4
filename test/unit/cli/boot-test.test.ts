// A boot test that is refused before anything is made for it.
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadMachine, type Machine } from '../../../src/boot/machine.ts';
import type { BootImage } from '../../../src/cli/boot-image.ts';
import { testBoot } from '../../../src/cli/boot-test.ts';
import { refuseSecondBoot } from '../../../src/cli/commands/test.ts';
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

const load = (name: string): Promise<Machine> => loadMachine(name, [path.join(packageRoot, 'qemu/machines')]);

test('a second boot needs a machine that can be switched off', async () => {
  const [virt, blind] = [await load('virt'), await load('raspi4b')];
  refuseSecondBoot([virt]);
  assert.throws(
    () => refuseSecondBoot([virt, blind]),
    (error: PiimgError) =>
      error.exitCode === EXIT.usage && error.message.startsWith('raspi4b cannot be tested with a second boot: '),
  );
});

test('room for what the machine writes is asked for before it is made', async () => {
  const step = { update: () => {}, note: () => {}, cached: () => {}, failed: () => {} };
  const { signal } = new AbortController();
  const options = { machine: await load('virt'), reboot: false, met: [], step, signal };
  const error: unknown = await testBoot(image, options).catch((caught: unknown) => caught);
  assert.instance(error, PiimgError);
  const { message, detail, hint } = error as PiimgError;
  assert.match(message, /^Too little free space in \S+: [\d.]+ GiB are needed, [\d.]+ [GM]iB are free$/);
  assert.match(detail ?? '', /what the machine writes: 512 MiB in /);
  assert.match(hint ?? '', 'TMPDIR');
});

test.run();
