// The kernel's arguments, as the firmware makes them of cmdline.txt.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { boardNamed } from '../../../../src/boot/firmware/boards.ts';
import { selectBootFiles } from '../../../../src/boot/firmware/select.ts';
import { CARD, DOWNSTREAM, partitionOf, UPSTREAM } from './card.ts';

/** Kernel arguments and warnings of a card with Raspberry Pi's numbering of ports, or with Linux's. */
async function read(cmdline: string, options: { config?: string; board?: string; upstream?: true; mac?: string } = {}) {
  const { config = '', board = 'pi3b', upstream, mac } = options;
  const files = { ...CARD, 'cmdline.txt': cmdline, 'config.txt': `arm_64bit=1\ndevice_tree=my.dtb\n${config}` };
  const card = { ...files, 'my.dtb': upstream ? UPSTREAM : DOWNSTREAM };
  const { cmdline: all, warnings } = await selectBootFiles(partitionOf(card), boardNamed(board), mac);
  return { cmdline: all, warnings: warnings.filter((warning) => !warning.includes('is not applied')) };
}

const ON = 'enable_uart=1';

/** Sources: "Configure UARTs" and "Other DT commands available in config.txt"; raspberrypi/firmware#553 and #1575 show results. */
const PORTS: [board: string, config: string, serial0: string, serial1: string][] = [
  ['pi3b', ON, 'ttyS0', 'ttyAMA0'],
  ['pi3b-plus', ON, 'ttyS0', 'ttyAMA0'],
  ['pi4b', ON, 'ttyS0', 'ttyAMA0'],
  ['pi5b', ON, 'ttyAMA10', 'ttyAMA0'],
  ['pi3b', `${ON}\ndtoverlay=disable-bt`, 'ttyAMA0', 'ttyS0'],
  ['pi3b', `${ON}\ndtoverlay=miniuart-bt,krnbt=on`, 'ttyAMA0', 'ttyS0'],
  ['pi3b', `${ON}\ndtoverlay=pi3-disable-bt`, 'ttyAMA0', 'ttyS0'],
  ['pi4b', `${ON}\n[pi3]\ndtoverlay=disable-bt`, 'ttyS0', 'ttyAMA0'],
  // A Pi 5 has a port for the modem alone.
  ['pi5b', `${ON}\ndtoverlay=disable-bt`, 'ttyAMA10', 'ttyAMA0'],
  // By default it is on where the PL011 is the primary port.
  ['pi4b', 'dtoverlay=disable-bt', 'ttyAMA0', 'ttyS0'],
];

for (const [board, config, serial0, serial1] of PORTS) {
  test(`serial0 is ${serial0} and serial1 ${serial1} on ${board} with ${JSON.stringify(config)}`, async () => {
    const { cmdline, warnings } = await read('console=serial0,115200 kgdboc=serial1 console=tty1', { config, board });
    assert.is(cmdline, `coherent_pool=1M 8250.nr_uarts=1 console=${serial0},115200 kgdboc=${serial1} console=tty1`);
    assert.equal(warnings, []);
  });
}

test('other words stay as they are, ttyAMA0 and serial0 within them', async () => {
  const line = 'console=ttyAMA0 x=myserial0 serial0 y=serial01 root=PARTUUID=1234-02';
  assert.is((await read(line, { config: ON })).cmdline, `coherent_pool=1M 8250.nr_uarts=1 ${line}`);
});

test('without enable_uart the mini UART is off, and whoever wants a console there is told', async () => {
  const { cmdline, warnings } = await read('console=serial0,115200 8250.nr_uarts=4');
  assert.is(cmdline, 'coherent_pool=1M 8250.nr_uarts=0 console=ttyS0,115200 8250.nr_uarts=0');
  assert.match(warnings.join(), /serial0 stays silent without enable_uart=1/);
  assert.equal((await read('console=tty1')).warnings, []);
  assert.equal((await read('console=tty1 console=serial0', { config: 'dtoverlay=disable-bt' })).warnings, []);
});

test("with Linux's numbering ttyS0 is no port, which is said", async () => {
  const { cmdline, warnings } = await read('console=serial0,115200', { config: ON, upstream: true });
  assert.is(cmdline, 'console=ttyS0,115200');
  assert.is(warnings.length, 1);
  assert.match(warnings.join(), /Linux calls it ttyS1: write console=ttyS1,115200/);
  assert.equal((await read('console=ttyS1,115200', { config: ON, upstream: true })).warnings, []);
});

/** Between them: raspberrypi/linux#3 says why it is there, /proc/cmdline of boards of all years where. */
test('the address of the Ethernet card stands between the arguments of the device tree and those of the file', async () => {
  const { cmdline } = await read('console=tty1', { config: ON, mac: 'b8:27:eb:12:34:56' });
  assert.is(cmdline, 'coherent_pool=1M 8250.nr_uarts=1 smsc95xx.macaddr=B8:27:EB:12:34:56 console=tty1');
});

test('only the first line counts', async () => {
  const { cmdline, warnings } = await read('root=/dev/sda2 quiet\r\nsplash\n', { upstream: true });
  assert.is(cmdline, 'root=/dev/sda2 quiet');
  assert.match(warnings.join(), /only its first line counts/);
  assert.equal((await read('root=/dev/sda2\n\n \n', { upstream: true })).warnings, []);
});

test('a blank file is as good as none', async () => {
  for (const text of ['', ' \n', '\nroot=/dev/sda2\n']) {
    const { cmdline, warnings } = await read(text, { upstream: true });
    assert.match(cmdline, /^console=ttyAMA0,115200 .*root=\/dev\/mmcblk0p2 rootfstype=ext4 rootwait$/);
    assert.match(warnings.join(), /cmdline\.txt: missing, or its first line is blank/);
  }
});

test.run();
