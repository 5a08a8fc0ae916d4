// The console of a machine that is watched, with cards that leave it silent.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { gzipSync } from 'node:zlib';
import { startFiles } from '../../../../src/boot/firmware/start.ts';
import { loadMachine } from '../../../../src/boot/machine.ts';
import { packageRoot } from '../../../../src/host/package-root.ts';
import { CARD, DOWNSTREAM, partitionOf, UPSTREAM } from './card.ts';

const machines = [path.join(packageRoot, 'qemu/machines')];
const KERNEL = Buffer.concat([Buffer.alloc(56), Buffer.from('ARM\x64')]);

/** What a machine starts from a card with the kernel and files of Raspberry Pi OS, but for what is given. */
async function start(files: Record<string, string | Buffer>, machine = 'raspi3b') {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-watched-'));
  const card = partitionOf({
    ...CARD,
    'kernel8.img': gzipSync(KERNEL),
    'config.txt': 'auto_initramfs=1\narm_64bit=1\n',
    'cmdline.txt': 'console=serial0,115200 console=tty1 root=PARTUUID=1-02 rootwait resize\n',
    ...files,
  });
  try {
    const { boot, warnings } = await startFiles(card, await loadMachine(machine, machines), folder);
    const { kernel, initramfs = '' } = boot;
    return {
      cmdline: boot.cmdline,
      warnings,
      kernel: await readFile(kernel),
      initramfs: await readFile(initramfs, 'utf8'),
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('a card of Raspberry Pi OS: kernel unpacked, its initramfs found, the silent console switched on and said', async () => {
  const { cmdline, warnings, kernel, initramfs } = await start({});
  assert.equal(kernel, KERNEL);
  assert.is(initramfs, 'initramfs8');
  assert.match(cmdline, /8250\.nr_uarts=1 .*console=ttyS0,115200 console=tty1 .* resize console=ttyS0,115200$/);
  assert.not.match(cmdline, /nr_uarts=0/);
  assert.is(warnings.length, 1);
  assert.match(
    warnings[0] ?? '',
    /the console is ttyS0 here, .* it is tty1, and serial0 stays silent without enable_uart=1/,
  );
});

test("with Linux's device tree the port has another name", async () => {
  const { cmdline, warnings } = await start({ 'bcm2710-rpi-3-b.dtb': UPSTREAM });
  assert.match(cmdline, /resize console=ttyS1,115200$/);
  // The driver would wait for ever for the port that the firmware names.
  assert.not.match(cmdline, /ttyS0/);
  assert.match(warnings.join(), /the console is ttyS1 here/);
});

test('a card whose system speaks there already is left alone', async () => {
  const speaking = {
    'config.txt': 'auto_initramfs=1\narm_64bit=1\nenable_uart=1\n',
    'bcm2710-rpi-3-b.dtb': DOWNSTREAM,
  };
  const { cmdline, warnings } = await start({ ...speaking, 'cmdline.txt': 'console=tty1 console=serial0,115200' });
  assert.match(cmdline, /console=tty1 console=ttyS0,115200$/);
  assert.equal(warnings, []);
});

test('a machine with a device tree of its own has a console of its own', async () => {
  const { cmdline, warnings } = await start({}, 'virt');
  assert.not.match(cmdline, /resize console/);
  assert.match(warnings.join(), /serial0 stays silent/);
});

test.run();
