// What the plan says about booting: the disk's identity, the firmware's configuration, and which files an initramfs may be made of.
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

/**
 * The table of file systems of a base made of packages. A boot partition that is worn out or cannot be mended is no reason for the emergency
 * mode, which nobody sees on a machine without a screen: `nofail`, and what needs it says so itself (RequiresMountsFor=). One that comes late
 * is waited for: within systemd's own 90 s (DefaultDeviceTimeoutSec) a machine that was emulated on a busy computer had not looked at its
 * devices, and went on without its seed.
 */
export function fstab({ diskId }: DiskIds): PlannedFile {
  return rootFile(
    'etc/fstab',
    `PARTUUID=${diskId}-02 / ext4 defaults,noatime 0 1\n` +
      `PARTUUID=${diskId}-01 /boot/firmware vfat defaults,noatime,nofail,x-systemd.device-timeout=5min,fmask=0077,dmask=0077 0 2\n`,
  );
}

/**
 * Folders and files that mkinitramfs, depmod and the hooks of Debian 13's packages neither copy nor read. A hook may read any other:
 * dropbear-initramfs has keys in /etc/dropbear, plymouth its themes in /usr/share, and most copy programs and libraries.
 */
const UNREAD_BY_HOOKS = [
  /^(home\/|opt\/|srv\/|usr\/local\/(?!lib\/depmod\.d\/))/,
  /^var\/(cache|log|mail|spool|tmp|www)\//,
  /^usr\/(lib\/(piimg|systemd\/system|sysusers\.d|tmpfiles\.d)|share\/(doc|info|man|nginx))\//,
  /^etc\/(apt|avahi|chrony|cloud|cron\.[a-z]+|dbus-1|docker|haproxy|logrotate\.d|mosquitto|mysql|netplan|nginx|php|polkit-1|postgresql|profile\.d|rancher|redis|rsyslog\.d|sudoers\.d|sysctl\.d|sysusers\.d|tmpfiles\.d|update-motd\.d|wpa_supplicant)\//,
  /^etc\/systemd\/([a-z]+\.conf\.d|system|user)\//,
  /^etc\/ssh\/sshd?_config(\.d\/|$)/,
  /^etc\/(aliases|crontab|hosts|issue|issue\.net|motd|nftables\.conf|profile|sudoers)$/,
];

/**
 * Whether an entry of an overlay may change the layers of initramfs and boot files. Any folder may: those layers hold the folders
 * they write in, with owner and mode.
 */
export function touchesBoot({ path, type }: { path: string; type: string }): boolean {
  return type === 'directory' || !UNREAD_BY_HOOKS.some((pattern) => pattern.test(path));
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
