// Which names the firmware looks for: kernel, device tree, initramfs and its own files, by config.txt and board.
import type { Board } from './boards.ts';
import { isOn, lastOf, numberOf, placeOf, type Config, type Setting } from './config-txt.ts';
import { wouldNotBoot } from './would-not-boot.ts';

/** Names in the order in which they are tried, and what for: `the kernel that config.txt line 15 names`. */
export interface Wanted {
  names: string[];
  what: string;
}

/** Names by which the firmware knows a kernel's kind ("Boot options", `arm_64bit`). */
const KNOWN_64 = /^kernel(8|_2712)\.img$/;
const KNOWN_32 = /^kernel(|7|7l)\.img$/;

export function wantedKernel(config: Config, board: Board): Wanted {
  const setting = lastOf(config, 'kernel');
  if (setting !== undefined) return named('kernel', setting);
  const wide = wants64(config, board);
  const names = board.kernels.filter((name) => wide === undefined || KNOWN_64.test(name) === wide);
  return { names, what: `the kernel that a ${board.model} looks for` };
}

/** Whether the processor starts in 64-bit mode with that kernel. */
export function starts64(config: Config, board: Board, kernel: string): boolean {
  const wide = wants64(config, board);
  if (board.arm64 === 'always' || isOn(config, 'arm_64bit') !== undefined) return wide === true;
  if (KNOWN_64.test(kernel)) return true;
  return !KNOWN_32.test(kernel) && wide === true;
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
  const names = kernels.map((name) => name.replace(/^kernel(.*)\.img$/, 'initramfs$1'));
  return { names, what: `the initramfs for auto_initramfs=1 in ${placeOf(setting)}` };
}

/** Files of the firmware itself. They are looked up before anything is included, so that only config.txt itself counts. */
export function wantedFirmware(config: Config, { bootcode, start, model }: Board): Wanted[] {
  if (start === undefined) return [];
  const own = { ...config, settings: config.settings.filter(({ file }) => file === 'config.txt') };
  const setting = lastOf(own, 'start_file');
  const cut = numberOf(lastOf(own, 'gpu_mem')) === 16;
  const kind = isOn(own, 'start_x') ? 'x' : isOn(own, 'start_debug') ? 'debug' : cut ? 'cut' : 'normal';
  const what = `firmware of a ${model}`;
  return [
    ...(bootcode === undefined ? [] : [{ names: [bootcode], what }]),
    setting === undefined ? { names: [start[kind]], what } : named('firmware', setting),
  ];
}

const named = (what: string, setting: Setting): Wanted => ({
  names: [setting.value],
  what: `the ${what} that ${placeOf(setting)} names`,
});
