// A machine's process: ports that are taken, this computer's failures, the end of a machine. QEMU is played by a script.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Guest } from '../../../src/boot/guest.ts';
import { loadMachine } from '../../../src/boot/machine.ts';
import { withGuest } from '../../../src/boot/qemu.ts';
import { packageRoot } from '../../../src/host/package-root.ts';
import { programs } from '../../helpers/local-session.ts';

const machine = await loadMachine('virt', [path.join(packageRoot, 'qemu/machines')]);

/** Keeps its arguments, sources `starting`, then answers commands; the power button sources `button`. */
const QEMU = `
echo "$*" >>"$PIIMG_TEST_QEMU/starts"
. "$PIIMG_TEST_QEMU/starting"
echo '{"QMP":{}}'
while read -r line; do
  id=\${line##*:}; id=\${id%\\}}
  case $line in
    *query-cpus-fast*) echo '{"return":[{"thread-id":1}],"id":'$id'}' ;;
    *system_powerdown*) echo '{"return":{},"id":'$id'}'; . "$PIIMG_TEST_QEMU/button" ;;
    *) echo '{"return":{},"id":'$id'}' ;;
  esac
done`;

/** What `work` makes of a machine whose QEMU does that; `log` is the console's file. */
async function withMachine<T>(
  does: { starting?: string; button?: string },
  work: (guest: Guest, folder: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-process-'));
  const { PATH } = process.env;
  process.env.PIIMG_TEST_QEMU = folder;
  process.env.PATH = `${await programs(path.join(folder, 'bin'), { 'qemu-system-aarch64': QEMU })}:${PATH}`;
  const log = path.join(folder, 'console.log');
  await writeFile(path.join(folder, 'starting'), does.starting ?? '');
  await writeFile(path.join(folder, 'button'), (does.button ?? '').replaceAll('LOG', log));
  const boot = { kernel: 'kernel', deviceTree: '', cmdline: '' };
  const [accelerator] = machine.accelerators.slice(-1);
  assert.ok(accelerator);
  try {
    const options = { machine, accelerator, boot, card: 'card', folder, forward: [22] };
    return await withGuest(options, (guest) => work(guest, folder));
  } finally {
    process.env.PATH = PATH;
    await rm(folder, { recursive: true });
  }
}

const failure = (failing: Promise<unknown>): Promise<string> =>
  failing.then(
    () => 'it did not fail',
    (error: Error) => error.message,
  );

const TAKEN = `echo "qemu: -netdev user: Could not set up host forwarding rule 'tcp:127.0.0.1:1-:22'" >&2; exit 1`;

test('a port that another program takes before QEMU does is another port the next time', async () => {
  const starting = `[ $(wc -l <"$PIIMG_TEST_QEMU/starts") -ge 3 ] || { ${TAKEN}; }`;
  await withMachine({ starting }, async ({ ports }, folder) => {
    const starts = (await readFile(path.join(folder, 'starts'), 'utf8')).trim().split('\n');
    assert.is(starts.length, 3);
    assert.match(starts[2] ?? '', `hostfwd=tcp:127.0.0.1:${ports[22]}-:22`);
  });
});

test('ports that are always taken, and another fault of its start, are told once', async () => {
  for (const [starting, starts, message] of [
    [TAKEN, 5, 'Could not set up host forwarding rule'],
    ['echo "could not load kernel" >&2; exit 1', 1, 'could not load kernel'],
  ] as const) {
    const reason = await withMachine({ starting }, async ({ ended }, folder) => {
      assert.is((await readFile(path.join(folder, 'starts'), 'utf8')).trim().split('\n').length, starts);
      return ended;
    });
    assert.is(reason?.code, 'qemu');
    assert.match(reason?.message ?? '', message);
  }
});

const NO_SPACE = {
  event: 'BLOCK_IO_ERROR',
  data: { operation: 'write', action: 'stop', nospace: true, reason: 'No space left on device' },
};

for (const [title, starting, says] of [
  ['a full disk under the card', `echo '${JSON.stringify(NO_SPACE)}'`, 'No space left on device'],
  [
    'an SD card that cannot be written',
    `echo "sd_blk_write: write error on host side" >&2`,
    'write error on host side',
  ],
] as const) {
  test(`${title} is thrown, whatever was made of the machine`, async () => {
    const passed = withMachine({ starting }, async ({ ended }) => assert.is(await ended, undefined));
    assert.match(await failure(passed), says);
    const failed = withMachine({ starting }, (guest) => guest.powerOff(60));
    assert.match(await failure(failed), says);
  });
}

test('a machine that is asked to switch itself off, and does', async () => {
  const button = `echo '[ 9.0] reboot: Power down' >>LOG; exit 0`;
  assert.is(
    await withMachine({ button }, async (guest) => (await guest.powerOff(60)) < 60 && (await guest.ended)),
    undefined,
  );
});

for (const [title, button, says] of [
  ['restarts', `echo '[ 9.0] reboot: Restarting system' >>LOG; exit 0`, 'The machine restarted by itself'],
  ['panics on the way, and stays on', `echo '[ 9.0] Kernel panic - not syncing: late' >>LOG`, 'Kernel panic: late'],
] as const) {
  test(`a machine that is asked to switch itself off, and ${title}`, async () => {
    const since = performance.now();
    const message = await withMachine({ button }, (guest) => failure(guest.powerOff(60)));
    assert.is(message, says);
    assert.ok(performance.now() - since < 30_000);
  });
}

test('nothing of it is left', async () => {
  const left = await readdir(tmpdir());
  assert.equal(
    left.filter((name) => name.startsWith(`piimg-wire-${process.pid}-`)),
    [],
  );
});

test.run();
