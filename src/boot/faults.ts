// The lines by which kernel, initramfs and systemd say that a boot cannot go well. Each is from a recorded boot or its program's source.
import type { ReasonCode } from './report.ts';

export interface Fault {
  code: ReasonCode;
  pattern: RegExp;
  /** The pattern's first group put into words. */
  message: (word: string) => string;
  hint?: string;
  /** The first earlier line like this tells more: it is added to the message. */
  cause?: RegExp;
  /** A prompt, after which no line ends. */
  prompt?: true;
  /** Right for a machine that was asked to switch itself off. */
  whenAsked?: true;
}

/** The line begins with it, or the kernel's time stamp comes before. */
const kernel = (text: string): RegExp => new RegExp(`(?:^|\\] )${text}`);

export const ROOT_HINT = 'Compare `root=` in cmdline.txt with the partition table (`sfdisk --dump IMAGE`).';
const FSCK_HINT = 'Check the root file system with `e2fsck -fn`, or build the image again.';

/** In the order they are tried on a line. */
export const FAULTS: Fault[] = [
  {
    // Linux, init/do_mounts.c: without an initramfs, or with one that the kernel could not unpack.
    code: 'no-root',
    pattern: kernel('Kernel panic - not syncing: (VFS: Unable to mount root fs.*)'),
    message: (word) => `The kernel did not find its root file system (${word})`,
    hint: 'Is the initramfs on the boot partition, and whole?',
  },
  {
    code: 'panic',
    pattern: kernel('Kernel panic - not syncing: (.*)'),
    message: (word) => `Kernel panic: ${word}`,
  },
  {
    // initramfs-tools, scripts/local: after `rootdelay` seconds (30).
    code: 'no-root',
    pattern: /ALERT!\s+(\S+) does not exist\./,
    message: (word) => `The initramfs did not find the root file system ${word}`,
    hint: ROOT_HINT,
  },
  {
    code: 'no-root',
    pattern: /No root device specified\. Boot arguments must include a root= parameter\./,
    message: () => 'cmdline.txt does not say where the root file system is: `root=` is missing',
    hint: ROOT_HINT,
  },
  {
    // initramfs-tools, scripts/functions: fsck found errors it does not repair by itself.
    code: 'root-damaged',
    pattern: /The root filesystem on (\S+) requires a manual fsck/,
    message: (word) => `The root file system on ${word} is damaged: fsck cannot repair it by itself`,
    hint: FSCK_HINT,
    cause: /UNEXPECTED INCONSISTENCY|fsck\.\w+: /,
  },
  {
    code: 'root-damaged',
    pattern: /Failed to mount (\S+) as root file system/,
    message: (word) => `The root file system ${word} cannot be mounted`,
    hint: FSCK_HINT,
    cause: /EXT4-fs (error|\(\S+\): (?!mounted|re-mounted|resiz))|^mount: |Type of root file system is unknown/,
  },
  {
    code: 'root-damaged',
    pattern: /No init found\. Try passing init= bootarg\./,
    message: () => 'The root file system holds no system: it has no /sbin/init',
    hint: FSCK_HINT,
  },
  {
    code: 'emergency',
    pattern: /^\(initramfs\)/,
    message: () => 'The initramfs stopped with a shell',
    prompt: true,
  },
  {
    // systemd, units/emergency.service and rescue.service: what sulogin says.
    code: 'emergency',
    pattern: /You are in (emergency|rescue) mode/,
    message: (word) => `systemd stopped in ${word} mode`,
    cause: /\[(FAILED|DEPEND| TIME )\]/,
  },
  {
    // systemd, src/core/crash-handler.c and main.c: process 1 cannot go on.
    code: 'emergency',
    pattern: /systemd\[1\]: (Freezing execution|Caught <\w+>)/,
    message: () => 'systemd itself stopped',
    cause: /\[!!!!!!\]/,
  },
  {
    // Linux, kernel/reboot.c.
    code: 'power-off',
    pattern: kernel('reboot: Power down'),
    message: () => 'The machine switched itself off',
    whenAsked: true,
  },
  {
    code: 'power-off',
    pattern: kernel('reboot: (System halted|Restarting system)'),
    message: (word) =>
      word === 'System halted' ? 'The machine halted, but stays switched on' : 'The machine restarted by itself',
  },
];

/** The system is up: a login prompt, the target with all services, the end of cloud-init. */
export const UP = / login: ?$|Reached target (multi-user|graphical)\.target|Cloud-init v\. \S+ finished/;
