// Kernel arguments for a machine that is watched: its console is the serial port on the pins, also where a Raspberry Pi's is not.
import type { BootSelection } from './select.ts';

/** Without a clock of its own the port is off on a Raspberry Pi, unless enable_uart=1; QEMU's needs none. */
const OFF = /\b8250\.nr_uarts=0\b/g;

/**
 * Raspberry Pi OS leaves its serial port silent: cmdline.txt names `serial0`, but config.txt does not switch it on, and the last
 * console, where the system speaks after the kernel, is the screen. Nobody would see how far a boot has come, or be asked to log in.
 * So the mini UART is switched on and made the last one, for a machine whose `console` it is, with a warning that says so. What already
 * is so is left alone.
 */
export function watched(selection: BootSelection, console: string): BootSelection {
  const { cmdline, miniUart, warnings } = selection;
  // As the firmware calls it; else the name by which Linux finds it (raspberrypi/linux#5183).
  const port = miniUart.includes('ttyS0') ? 'ttyS0' : miniUart[0];
  // PL011s, which are ttyAMA*, are on whatever the card says.
  if (port === undefined || !console.startsWith('ttyS')) return selection;
  const last = [...cmdline.matchAll(/(?:^|\s)console=([^\s,]+)/g)].at(-1)?.[1];
  // A driver has one console, which stays with the first of its ports that is named, there or not (Linux, try_enable_preferred_console()).
  const alone = cmdline.replaceAll(/(?:^|\s)console=(ttyS\d+)(,\S*)?(?=\s|$)/g, (word, name: string) =>
    name === port ? word : '',
  );
  if (last === port && alone === cmdline && cmdline.match(OFF) === null) return selection;
  return {
    ...selection,
    cmdline: `${alone.replaceAll(OFF, '8250.nr_uarts=1')} console=${port},115200`,
    warnings: [
      ...warnings.filter((warning) => !warning.includes('serial0 stays silent')),
      `the console is ${port} here, so that the boot can be watched; on a Raspberry Pi it is ${last ?? 'none'}` +
        `${cmdline.match(OFF) === null ? '' : ', and serial0 stays silent without enable_uart=1 in config.txt'}.`,
    ],
  };
}
