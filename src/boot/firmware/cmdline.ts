// The kernel command line, as the firmware makes it of cmdline.txt.
import type { Board } from './boards.ts';
import { isOn, type Config } from './config-txt.ts';
import type { DeviceTree } from './device-tree.ts';

/**
 * What the firmware puts in the place of a missing or blank file: seen on a card without one in raspberrypi/firmware#948, and for a
 * blank one in #1551.
 */
const BUILT_IN =
  'console=ttyAMA0,115200 kgdboc=ttyAMA0,115200 console=tty1 root=/dev/mmcblk0p2 rootfstype=ext4 rootwait';

export interface CmdlineInput {
  board: Board;
  config: Config;
  deviceTree: DeviceTree;
  /** The file's name on the card, and what is in it if it is there. */
  file: string;
  text: string | undefined;
  /** Overlays that config.txt applies. */
  overlays: string[];
  /** Address of the Ethernet card; `undefined` when the machine has none. */
  mac: string | undefined;
}

/**
 * The kernel's arguments: those of the device tree, the address of the Ethernet card (raspberrypi/linux#3), then the first line of
 * cmdline.txt, with `serial0` and `serial1` replaced (raspberrypi/firmware#553, #1575) and, where the mini UART is off, `8250.nr_uarts`
 * set to 0 (raspberrypi/linux#4176). That argument comes from Raspberry Pi's own device trees: with one that lacks it there is none, so
 * the firmware adds none (raspberrypi/linux#5183). Not added is what only drivers of Raspberry Pi's own kernel for hardware without
 * emulation read: bcm2708_fb.*, vc_mem.*, dma.dmachans, video=.
 */
export function buildCmdline(input: CmdlineInput): string {
  const { board, config, deviceTree, file, text = '', mac } = input;
  const warn = (what: string): number => config.warnings.push(`${file}: ${what}`);
  const [line = '', ...others] = text.split('\n').map((each) => each.trim());
  if (line === '') warn('missing, or its first line is blank, so that the firmware uses arguments of its own.');
  if (others.some((other) => other !== '')) warn('only its first line counts.');
  const [primary, secondary] = serials(input);
  // On by default unless that takes a fixed clock from the system ("Other DT commands available in config.txt").
  const enabled = isOn(config, 'enable_uart') ?? primary !== 'ttyS0';
  const address = mac === undefined ? [] : [`smsc95xx.macaddr=${mac.toUpperCase()}`];
  const cmdline = [deviceTree.bootargs, ...address, line || BUILT_IN]
    .join(' ')
    .trim()
    .replaceAll(/=serial0\b/g, `=${primary}`)
    .replaceAll(/=serial1\b/g, `=${secondary}`)
    .replaceAll(/\b8250\.nr_uarts=\d/g, (found) => (enabled ? found : '8250.nr_uarts=0'));
  if (/=serial0\b/.test(line) && !enabled) warn('serial0 stays silent without enable_uart=1 in config.txt.');
  const ports = miniUart(deviceTree);
  if (/=serial[01]\b/.test(line) && cmdline.includes('=ttyS0') && ports.length > 0 && !ports.includes('ttyS0')) {
    warn(
      `on a ${board.model} the firmware calls the mini UART ttyS0, but with this device tree Linux calls it ${ports[0]}: ` +
        `write console=${ports[0]},115200 instead.`,
    );
  }
  return cmdline;
}

/** Either overlay brings the PL011 to the pins ("Configure UARTs", "UARTs and Device Tree"). */
function serials({ board, overlays }: CmdlineInput): Board['serials'] {
  const swapped = overlays.some((name) => name === 'disable-bt' || name === 'miniuart-bt');
  const [primary, secondary] = board.serials;
  return swapped && primary === 'ttyS0' ? [secondary, primary] : [primary, secondary];
}

/** What Linux may call the mini UART, at 0x7e215040: it numbers by alias. */
export function miniUart({ aliases }: DeviceTree): string[] {
  return Object.entries(aliases).flatMap(([alias, node]) =>
    /^serial\d+$/.test(alias) && node.endsWith('@7e215040') ? [alias.replace('serial', 'ttyS')] : [],
  );
}
