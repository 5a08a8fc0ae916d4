// Which files of the card the firmware would start, by the rules of config.txt.
import type { Board } from './boards.ts';
import { buildCmdline, miniUart } from './cmdline.ts';
import { lastOf, placeOf, readConfig, type Config } from './config-txt.ts';
import { readDeviceTree, type DeviceTree } from './device-tree.ts';
import { demand, findPrefix, pathOf, search, type FoundFile } from './files.ts';
import { findOverlays } from './overlays.ts';
import { demandOwnFiles } from './own-files.ts';
import { readBootFile, type BootPartition } from './partition.ts';
import { hintFor32, wantedAutoInitramfs, wantedDeviceTree, wantedInitramfs, wantedKernel } from './wanted.ts';
import { wouldNotBoot } from './would-not-boot.ts';

export interface ChosenFile {
  /** On the boot partition. */
  path: string;
  /** Why this one: `the kernel that config.txt line 15 names`. */
  what: string;
}

export interface BootSelection {
  kernel: ChosenFile;
  /** All of them, one behind the other, are the initramfs. */
  initramfs: ChosenFile[];
  deviceTree: ChosenFile;
  /** The kernel's arguments. */
  cmdline: string;
  /** What Linux may call the mini UART with that device tree. */
  miniUart: string[];
  /** What config.txt and cmdline.txt ask for in vain, on a Raspberry Pi or here. */
  warnings: string[];
}

/** Settings that change what a Raspberry Pi starts, where to, or with how much memory, and do nothing here. */
const NOT_EMULATED =
  /^(kernel_address|kernel_old|ramfsaddr|device_tree_(address|end)|armstub|arm_control|arm_peri_high|total_mem|boot_ramdisk)$/;

/**
 * Reads config.txt, cmdline.txt and the device tree from the card as the firmware of `board` would; `mac` is the address of its
 * Ethernet card. Throws the finding that the card would not boot (`reasonOf`): a file is missing, empty or no device tree, or the
 * kernel would be started in 32-bit mode.
 */
export async function selectBootFiles(partition: BootPartition, board: Board, mac?: string): Promise<BootSelection> {
  if (board.needsConfig && (await partition.find('config.txt')) === undefined) {
    throw wouldNotBoot(
      `there is no config.txt on its boot partition, by which a ${board.model} knows that it can boot.`,
      'Build the image again.',
    );
  }
  const config = await readConfig(partition, board);
  await demandOwnFiles(partition, config, board);
  const wanted = { kernel: wantedKernel(config, board), deviceTree: wantedDeviceTree(config, board) };
  const prefix = await findPrefix(partition, config, [wanted.kernel, wanted.deviceTree]);
  const kernel = await demand(partition, prefix, wanted.kernel);
  const hint = hintFor32(config, board, kernel.name);
  if (hint !== undefined) {
    throw wouldNotBoot(
      `the firmware of a ${board.model} starts ${kernel.path} in 32-bit mode, and the image is for arm64.`,
      hint,
    );
  }
  const deviceTree = await demand(partition, prefix, wanted.deviceTree);
  const initramfs = await findInitramfs(partition, prefix, config, board, kernel.name);
  const overlays = await findOverlays(partition, config, prefix);
  const tree = await parsed(deviceTree);
  const file = pathOf(prefix, lastOf(config, 'cmdline')?.value ?? 'cmdline.txt');
  const cmdline = buildCmdline({
    board,
    config,
    overlays,
    mac,
    file,
    deviceTree: tree,
    text: await textOf(partition, file),
  });
  await warnOfOthers(partition, config);
  return {
    kernel: chosen(kernel),
    initramfs: initramfs.map(chosen),
    deviceTree: chosen(deviceTree),
    cmdline,
    miniUart: miniUart(tree),
    warnings: config.warnings,
  };
}

const chosen = ({ path, what }: FoundFile): ChosenFile => ({ path, what });

/** Those that config.txt names must be there; what auto_initramfs finds may be nothing. */
async function findInitramfs(
  partition: BootPartition,
  prefix: string,
  config: Config,
  board: Board,
  kernel: string,
): Promise<FoundFile[]> {
  const named = wantedInitramfs(config);
  if (named.length > 0) {
    const found: FoundFile[] = [];
    for (const wanted of named) found.push(await demand(partition, prefix, wanted));
    return found;
  }
  const auto = wantedAutoInitramfs(config, board, kernel);
  const found = auto && (await search(partition, prefix, auto));
  return found === undefined ? [] : [found];
}

async function parsed({ path, what, file }: FoundFile): Promise<DeviceTree> {
  const tree = readDeviceTree(await readBootFile(file));
  if (tree !== undefined) return tree;
  throw wouldNotBoot(`${path} on its boot partition, ${what}, is no device tree.`, 'Build the image again.');
}

async function textOf(partition: BootPartition, path: string): Promise<string | undefined> {
  const file = await partition.find(path);
  return file && (await readBootFile(file)).toString();
}

/** What would make a Raspberry Pi do otherwise. */
async function warnOfOthers(partition: BootPartition, { settings, warnings }: Config): Promise<void> {
  for (const setting of settings) {
    const { name, value } = setting;
    if (!NOT_EMULATED.test(name) || /^(|0|followkernel)$/.test(value)) continue;
    warnings.push(`${placeOf(setting)}: ${name}=${value} does nothing in QEMU.`);
  }
  if ((await partition.find('autoboot.txt')) === undefined) return;
  warnings.push('autoboot.txt can choose another partition on a Raspberry Pi; here it is always the first.');
}
