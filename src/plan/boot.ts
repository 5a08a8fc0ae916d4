// What the plan says about booting: the disk's identity, the firmware's configuration, and which files an initramfs is made of.
import { sha256 } from '../lib/digest.ts';
import type { ResolvedRole } from '../role/resolved.ts';
import type { PlannedFile } from './plan.ts';
import { rootFile } from './root-file.ts';

export interface DiskIds {
  /** MBR disk id, eight hex digits as they stand in PARTUUID. */
  diskId: string;
}

/**
 * The disk's identity: from base and role by name, so that two roles' cards differ in one reader while a rebuilt image keeps
 * its root= and with it the boot files.
 */
export function diskIds(base: string, role: string): DiskIds {
  return { diskId: sha256(`piimg disk ${base} ${role}`).slice(0, 8) };
}

/** Folders and files that mkinitramfs and its hooks copy or read (initramfs-tools(7), and the hooks of Debian 13's packages). */
const INITRAMFS_INPUTS = [
  /^(etc|usr\/share)\/initramfs-tools\//,
  /^(etc|usr\/lib)\/modprobe\.d\//,
  /^(etc|usr\/lib)\/modules-load\.d\//,
  /^etc\/modules$/,
  /^(etc|usr\/lib)\/udev\//,
  /^(etc|usr\/lib)\/systemd\/network\//,
  /^usr\/lib\/(modules|firmware)\//,
  /^etc\/(default\/(keyboard|console-setup)|console-setup\/|crypttab$|fstab\.d\/|ld\.so\.conf|mdadm\/|lvm\/|resume)/,
  // What raspi-firmware's hook puts on the boot partition.
  /^usr\/lib\/linux-image-/,
  /^boot\/(vmlinuz|initrd)/,
];

/**
 * Whether an entry of an overlay may change the layers of initramfs and boot files. Any folder may: those layers hold the folders
 * they write in, with owner and mode.
 */
export function touchesBoot({ path, type }: { path: string; type: string }): boolean {
  return type === 'directory' || INITRAMFS_INPUTS.some((pattern) => pattern.test(path));
}

/**
 * The role's additions, where raspi-firmware's hook reads them: it writes config.txt and cmdline.txt anew at every update of
 * the kernel or initramfs, so that additions to those files themselves would be lost.
 */
export function bootFileConfig(role: ResolvedRole, { diskId }: DiskIds): PlannedFile[] {
  const sections = role.config.filter(({ lines }) => lines.length > 0);
  // Filters stay until reset: end in [all], so that what the hook may append counts for every board.
  const config =
    sections.map(({ filter, lines }) => `[${filter}]\n${lines.join('\n')}\n`).join('') +
    (sections.length > 0 ? '[all]\n' : '');
  return [
    // CMA=0: built off-device the hook would add cma=64M, which keeps a Pi 4 from booting. ttyS1 is the mini UART of Pi 3 and 4 under
    // Debian's kernel; the last console is /dev/console.
    rootFile('etc/default/raspi-firmware', `CMA=0\nROOTPART="PARTUUID=${diskId}-02"\nCONSOLES="tty0 ttyS1,115200"\n`),
    ...(config === '' ? [] : [rootFile('etc/default/raspi-firmware-custom', config)]),
    ...(role.cmdline.length === 0 ? [] : [rootFile('etc/default/raspi-extra-cmdline', `${role.cmdline.join(' ')}\n`)]),
  ];
}
