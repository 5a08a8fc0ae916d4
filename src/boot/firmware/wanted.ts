// Which names the firmware looks for: kernel, device tree and initramfs, by config.txt and board.
import type { Board } from './boards.ts';
import { isOn, lastOf, placeOf, type Config, type Setting } from './config-txt.ts';
import { wouldNotBoot } from './would-not-boot.ts';

/** Names in the order in which they are tried, and what for: `the kernel that config.txt line 15 names`. */
export interface Wanted {
  names: string[];
  what: string;
}

/** Names by which the firmware knows a kernel's kind ("Boot options", `arm_64bit`); on FAT their case does not count. */
const KNOWN_64 = /^kernel(8|_2712)\.img$/i;
const KNOWN_32 = /^kernel(|7|7l)\.img$/i;

export function wantedKernel(config: Config, board: Board): Wanted {
  const setting = lastOf(config, 'kernel');
  if (setting !== undefined) return named('kernel', setting);
  const wide = wants64(config, board);
  const names = board.kernels.filter((name) => wide === undefined || KNOWN_64.test(name) === wide);
  return { names, what: `the kernel that a ${board.model} looks for` };
}

/** What to do about a kernel that would be started in 32-bit mode; `undefined` when it is not. A known name outweighs arm_64bit. */
export function hintFor32(config: Config, board: Board, kernel: string): string | undefined {
  if (board.arm64 === 'always' || KNOWN_64.test(kernel)) return undefined;
  if (!KNOWN_32.test(kernel)) return wants64(config, board) ? undefined : 'Put arm_64bit=1 into config.txt.';
  return lastOf(config, 'kernel') === undefined
    ? 'Put arm_64bit=1 into config.txt.'
    : 'That name is of a 32-bit kernel, whatever arm_64bit says: call the kernel kernel8.img.';
}

/** `undefined`: as the kernels on the card decide. */
function wants64(config: Config, board: Board): boolean | undefined {
  if (board.arm64 === 'always') return true;
  return isOn(config, 'arm_64bit') ?? (board.arm64 === 'default' ? true : undefined);
}

/** Throws the finding that there is none: arm64 kernels read all they know of the board from it. */
export function wantedDeviceTree(config: Config, board: Board): Wanted {
  const setting = config.settings.findLast(({ name }) => name === 'device_tree');
  if (setting?.value === '') {
    throw wouldNotBoot(
      `${placeOf(setting)} has an empty device_tree=, and an arm64 kernel does not start without a device tree.`,
      'Remove that line.',
    );
  }
  if (setting !== undefined) return named('device tree', setting);
  const { downstream, upstream } = board.deviceTree;
  // Linux's names too are tried by default ("DTBs, overlays and config.txt"), in an order nobody documents.
  const names = prefersUpstream(config) ? [upstream, downstream] : [downstream, upstream];
  return { names: [...new Set(names)], what: `the device tree of a ${board.model}` };
}

/** `upstream_kernel=1` ("Legacy boot options"). */
export const prefersUpstream = (config: Config): boolean => isOn(config, 'upstream_kernel') === true;

/** Each of the files that config.txt names, which the firmware puts behind one another; none without such a line. */
export function wantedInitramfs(config: Config): Wanted[] {
  const setting = lastOf(config, 'initramfs', 'ramfsfile');
  if (setting === undefined) return [];
  const files = setting.value.split(',').filter(Boolean);
  return files.map((file) => ({ ...named('initramfs', setting), names: [file] }));
}

/** What `auto_initramfs=1` looks for, which goes with the kernel ("Boot options"); `undefined` without it. */
export function wantedAutoInitramfs(config: Config, board: Board, kernel: string): Wanted | undefined {
  const setting = lastOf(config, 'auto_initramfs');
  if (setting === undefined || !isOn(config, 'auto_initramfs')) return undefined;
  const kernels = KNOWN_64.test(kernel) ? [kernel] : board.kernels.filter((name) => KNOWN_64.test(name));
  const names = kernels.map((name) => name.replace(/^kernel(.*)\.img$/i, 'initramfs$1'));
  return { names, what: `the initramfs for auto_initramfs=1 in ${placeOf(setting)}` };
}

const named = (what: string, setting: Setting): Wanted => ({
  names: [setting.value],
  what: `the ${what} that ${placeOf(setting)} names`,
});
