// Facts about images of Raspberry Pi OS that piimg relies on: each with where it is documented, and how it is read from an image.
import { dataSource } from './cloud-init.ts';
import { growthOf } from './growth.ts';
import { machineIdOf } from './identity.ts';
import { kernelsOf } from './kernel.ts';
import { recognise } from './recognise.ts';
import { isThere, rowsOf, textOf, unitsOf } from './system.ts';
import type { ImageView, Partition } from './view.ts';

export interface Fact {
  id: string;
  what: string;
  /** What its source says, of which releases. */
  documented: string;
  /** Public: repository and path or commit, or documentation; pi-gen at the tag of the release. */
  source: string;
  /** As this image has it; disk ids as `XXXXXXXX`, `none` for what is not there. */
  read: (view: ImageView) => Promise<string> | string;
}

const NONE = 'none';
const PRERUN = 'RPi-Distro/pi-gen: export-image/prerun.sh';
const FINALISE = 'RPi-Distro/pi-gen: export-image/05-finalise/01-run.sh';
const SYS_MODS =
  'RPi-Distro/raspberrypi-sys-mods (bookworm); trixie: pi-gen#861, raspberrypi-sys-mods#103 and third parties who have read it';

/** Units that do something on a first boot, and never again. */
const FIRST_BOOT_UNITS =
  /^(rpi-resize|userconfig|sshswitch|regenerate_ssh_host_keys|cloud-init[\w-]*|cloud-config|cloud-final|rpi-preseed[\w-]*|resize2fs_once)\.service$/;

/** Since trixie, and before. */
const PARTUUID_HOOKS = [
  'usr/share/initramfs-tools/scripts/local-bottom/set_partuuid',
  'usr/lib/raspberrypi-sys-mods/firstboot',
];

export const FACTS: Fact[] = [
  {
    id: 'table',
    what: 'partition table',
    documented: 'mbr (parted mklabel msdos)',
    source: `${PRERUN}: mklabel msdos`,
    read: ({ layout }) => layout.table,
  },
  {
    id: 'p1-start',
    what: 'first sector of the boot partition',
    documented: '16384 in releases since 2025-05-06, 8192 before',
    source: `${PRERUN}: ALIGN, 4 MiB up to 2024-11-19, 8 MiB from 2025-05-06 on (f621f9e2)`,
    read: (view) => number(bootPartition(view)?.start),
  },
  {
    id: 'p1-sectors',
    what: 'its length in sectors',
    documented: '1048576: 512 MiB',
    source: `${PRERUN}: BOOT_SIZE`,
    read: (view) => number(bootPartition(view)?.sectors),
  },
  {
    id: 'p1-type',
    what: 'its type',
    documented: '0x0c: FAT with LBA (parted mkpart fat32)',
    source: `${PRERUN}: mkpart primary fat32; a bootloader's log: MBR: 0x00004000, 1048576 type: 0x0c`,
    read: (view) => bootPartition(view)?.type ?? NONE,
  },
  {
    id: 'p1-label',
    what: 'its label',
    documented: 'bootfs; rpi-image-gen makes BOOT',
    source: `${PRERUN}: mkdosfs -n bootfs`,
    read: ({ boot }) => boot.facts.label || NONE,
  },
  {
    id: 'cluster-bytes',
    what: 'bytes of its clusters',
    documented: '512 in releases since 2026-04-13 (mkdosfs -s 1), 2048 before and on bookworm (-s 4)',
    source: `${PRERUN}: mkdosfs -F 32 -s 4, -s 1 from 2026-04-13 on (46c69572)`,
    read: ({ boot }) => number(boot.facts.clusterBytes),
  },
  {
    id: 'p2-start',
    what: 'first sector of the root partition',
    documented: '1064960 in releases since 2025-05-06, 1056768 before',
    source: `${PRERUN}: ROOT_PART_START`,
    read: (view) => number(rootPartition(view)?.start),
  },
  {
    id: 'p2-type',
    what: 'its type',
    documented: '0x83: Linux (parted mkpart ext4)',
    source: `${PRERUN}: mkpart primary ext4; a bootloader's log: MBR: 0x00104000, 123977728 type: 0x83`,
    read: (view) => rootPartition(view)?.type ?? NONE,
  },
  {
    id: 'p2-label',
    what: 'its label',
    documented: 'rootfs; rpi-image-gen makes ROOT',
    source: `${PRERUN}: mkfs.ext4 -L rootfs`,
    read: ({ root }) => root.facts.label || NONE,
  },
  {
    id: 'ext4-features',
    what: 'features of the ext4',
    documented: "neither 64bit nor huge_file; the rest is the build host's default (not documented)",
    source: `${PRERUN}: -O ^64bit,^huge_file; the rest is mke2fs.conf's of the computer it was made on, here of Debian 12 or 13`,
    read: ({ root }) => root.facts.features.join(' '),
  },
  {
    id: 'cmdline',
    what: 'cmdline.txt',
    documented:
      'trixie: console=serial0,115200 console=tty1 root=PARTUUID=XXXXXXXX-02 rootfstype=ext4 fsck.repair=yes rootwait resize; bookworm ends with: rootwait quiet init=/usr/lib/raspberrypi-sys-mods/firstboot',
    source:
      'RPi-Distro/pi-gen: stage1/00-boot-files/files/cmdline.txt; bookworm: stage2/01-sys-tweaks/00-patches/07-resize-init.diff; ids: export-image/04-set-partuuid',
    read: async (view) => plain(view, await textOf(view.boot.files, 'cmdline.txt')),
  },
  {
    id: 'fstab',
    what: '/etc/fstab, partitions of the image',
    documented:
      'PARTUUID=XXXXXXXX-01 /boot/firmware vfat defaults 0 2; PARTUUID=XXXXXXXX-02 / ext4 defaults,noatime 0 1',
    source: 'RPi-Distro/pi-gen: stage1/01-sys-tweaks/files/fstab',
    read: fstab,
  },
  {
    id: 'partuuid-hook',
    what: 'what gives each card a disk id of its own',
    documented:
      'set_partuuid, in the initramfs: an id from /dev/hwrng, on the disk, then in fstab, then in cmdline.txt; the word resize goes; bookworm: firstboot, by fdisk',
    source: 'RPi-Distro/raspberrypi-sys-mods: initramfs-tools/scripts/local-bottom/set_partuuid (5c673174)',
    read: async ({ root }) => {
      for (const path of PARTUUID_HOOKS) if (await isThere(root.files, path)) return `/${path}`;
      return NONE;
    },
  },
  {
    id: 'initramfs-modules',
    what: 'which modules its initramfs takes when it is made anew',
    documented: 'dep, those of the machine that makes it, since 2024-11; most before',
    source: 'RPi-Distro/pi-gen: export-image/05-finalise/01-run.sh (fba95332)',
    read: async ({ root }) => {
      const text = await root.files.read('etc/initramfs-tools/initramfs.conf');
      return /^MODULES=(\w+)/m.exec(text?.toString() ?? '')?.[1] ?? NONE;
    },
  },
  {
    id: 'first-user',
    what: 'the account of number 1000: name, shell, password',
    documented: 'pi, locked: no password until somebody is named; /usr/sbin/nologin since 2026-04-13, /bin/bash before',
    source:
      'RPi-Distro/pi-gen: stage1/01-sys-tweaks/00-run.sh (4b9cd15c: --disabled-login); nologin read from an image of 2026-09 by a third party',
    read: async ({ root }) => {
      const passwd = await rowsOf(root.files, 'etc/passwd');
      const [name, , , , , , shell] = passwd.find(([, , uid]) => uid === '1000') ?? [];
      if (name === undefined) return NONE;
      const hash = (await rowsOf(root.files, 'etc/shadow')).find(([user]) => user === name)?.[1];
      const password = hash === undefined ? 'unknown' : hash === '' ? 'needs no password' : 'with a password';
      return `${name}, ${shell}, ${/^[!*]/.test(hash ?? '') ? 'locked' : password}`;
    },
  },
  {
    id: 'machine-id',
    what: '/etc/machine-id',
    documented: 'trixie: uninitialized; bookworm: empty',
    source: `${FINALISE}: \`true >\` for bookworm, \`echo "uninitialized" >\` since trixie`,
    read: ({ root }) => machineIdOf(root.files),
  },
  {
    id: 'host-keys',
    what: 'ssh host keys in the image',
    documented: 'none: removed when it is built, made on the first boot',
    source: 'RPi-Distro/pi-gen: stage2/01-sys-tweaks/01-run.sh: rm -f …/ssh_host_*_key*',
    read: async ({ root }) =>
      listed((await root.files.list('etc/ssh')).filter((name) => /^ssh_host_.*_key$/.test(name))),
  },
  {
    id: 'cloud-cfg',
    what: 'files in /etc/cloud/cloud.cfg.d',
    documented:
      '99_raspberry-pi.cfg since 2025-10-01 (of rpi-cloud-init-mods since 2025-11-24) beside those of Debian; none on bookworm',
    source:
      'RPi-Distro/pi-gen 2025-10-01: stage2/04-cloud-init/files/99_raspberry-pi.cfg; later in the package rpi-cloud-init-mods',
    read: async ({ root }) =>
      listed((await root.files.list('etc/cloud/cloud.cfg.d')).filter((name) => name.endsWith('.cfg'))),
  },
  {
    id: 'datasource',
    what: "cloud-init's data source",
    documented: 'NoCloud, None; seedfrom: file:///boot/firmware',
    source:
      'RPi-Distro/pi-gen 2025-10-01: stage2/04-cloud-init/files/99_raspberry-pi.cfg; later in the package rpi-cloud-init-mods',
    read: async (view) => {
      const { list, seed } = await dataSource(view);
      return [list?.join(', '), seed].filter((part) => part !== undefined).join('; ') || NONE;
    },
  },
  {
    id: 'meta-data',
    what: 'meta-data, without comments',
    documented:
      'dsmode: local; instance_id: rpios-image, which cloud-init does not document; none on bookworm and in 2025-10-01',
    source: 'RPi-Distro/pi-gen: stage2/04-cloud-init/files/meta-data',
    read: async ({ boot }) => {
      const lines = (await textOf(boot.files, 'meta-data')).split('\n').map((line) => line.trim());
      return lines.filter((line) => line !== '' && !line.startsWith('#')).join('; ') || NONE;
    },
  },
  {
    id: 'first-boot-units',
    what: 'units of the first boot that are enabled',
    documented:
      'trixie: rpi-resize, userconfig, sshswitch, and those of cloud-init; bookworm: regenerate_ssh_host_keys, userconfig, sshswitch (since trixie sshd makes the keys, pi-gen e2893c11; a third party has seen that unit run on an image of 2026-09: unsettled)',
    source: `${SYS_MODS}; RPi-Distro/userconf-pi; pi-gen: systemctl enable rpi-resize; raspberrypi/rpi-preseed: systemd/`,
    read: async (view) => listed((await unitsOf(view)).names().filter((name) => FIRST_BOOT_UNITS.test(name))),
  },
  {
    id: 'resize',
    what: 'how it grows',
    documented:
      'trixie: resize on the command line for the partition (initramfs, resize_early), rpi-resize.service for the file system; bookworm: init=…/firstboot with an initramfs script for both',
    source: `${SYS_MODS}; pi-gen 04bc6843 (2025-08-19)`,
    read: async (view) => {
      const ways = (await growthOf(view)).map(
        ({ what, how, armed }) => `${what}: ${how}${armed ? '' : ' (not armed)'}`,
      );
      return ways.join('; ') || NONE;
    },
  },
  {
    id: 'kernel8-gzip',
    what: 'how kernel8.img is packed',
    documented: 'gzip',
    source: 'airplanes-live/feed#54; the documentation of config.txt: arm_64bit',
    read: async (view) => (await kernelsOf(view)).find(({ file }) => file === 'kernel8.img')?.packing ?? NONE,
  },
  {
    id: 'config-auto-initramfs',
    what: 'auto_initramfs in config.txt',
    documented: '1',
    source: 'RPi-Distro/pi-gen: stage1/00-boot-files/files/config.txt',
    read: async ({ boot }) => /^auto_initramfs=(\S+)/m.exec(await textOf(boot.files, 'config.txt'))?.[1] ?? NONE,
  },
  {
    id: 'init-format',
    what: 'how its first boot is told who it is',
    documented:
      'bookworm: custom-toml, and firstrun.sh (systemd, which is the one its makers name); trixie of 2025-10-01: systemd, as it has cloud-init and its NoCloud, but no user-data on the boot partition (pi-gen e4640531); later: cloudinit-rpi',
    source: 'raspberrypi/rpi-imager: doc/os_customisation_formats.md; custom.toml: raspberrypi-sys-mods, firstboot',
    read: async (view) => (await recognise(view)).format,
  },
];

export interface FactValue extends Omit<Fact, 'read'> {
  value: string;
}

/** The table with what this image says. */
export async function readFacts(view: ImageView): Promise<FactValue[]> {
  const values: FactValue[] = [];
  for (const { read, ...fact } of FACTS) values.push({ ...fact, value: await read(view) });
  return values;
}

const bootPartition = ({ layout, boot }: ImageView): Partition | undefined =>
  partition(layout.partitions, boot.facts.partition);
const rootPartition = ({ layout, root }: ImageView): Partition | undefined =>
  partition(layout.partitions, root.facts.partition);
const partition = (all: Partition[], wanted: number): Partition | undefined => all.find((one) => one.number === wanted);
const number = (value: number | undefined): string => (value === undefined ? NONE : String(value));
const listed = (names: string[]): string => [...names].sort().join(' ') || NONE;

/** On one line, without what is drawn by lot. */
const plain = ({ layout }: ImageView, text: string): string =>
  text.replaceAll(layout.diskId, 'XXXXXXXX').replaceAll(/\s+/g, ' ').trim() || NONE;

async function fstab(view: ImageView): Promise<string> {
  const lines = (await textOf(view.root.files, 'etc/fstab'))
    .split('\n')
    .filter((line) => /^[^#\s]+\s+\/\S*\s+(vfat|ext4)\s/.test(line));
  return lines.map((line) => plain(view, line)).join('; ') || NONE;
}
