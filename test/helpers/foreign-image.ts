// Small images as other makers have them: a FAT and an ext4 with as few files as the recognition of a format asks for.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../src/host/exec.ts';
import { temporaryFolder } from './temporary.ts';
import { makeVendorImage, type Tree } from './vendor-image.ts';

export const BOOT = { start: 8192, sectors: 35 * 2048 };
export const ROOT_SIZE = 16;

const LINK = { link: '/dev/null.service' };
const COMMON: Tree = {
  'etc/fstab': 'PARTUUID=1a2b3c4d-01 /boot/firmware vfat defaults 0 2\n',
  'etc/hostname': 'raspberrypi\n',
  'etc/rpi-issue': 'Raspberry Pi reference 2025-12-04\n',
  'etc/systemd/system/multi-user.target.wants/NetworkManager.service': LINK,
  'usr/share/zoneinfo/Europe/Berlin': 'TZif2',
  'usr/share/zoneinfo/iso3166.tab': '# code\tname\nDE\tGermany\n',
};
const SYSTEMD: Tree = { 'usr/lib/systemd/system-generators/systemd-run-generator': '' };
const CLOUD_INIT: Tree = {
  'usr/bin/cloud-init': '',
  'usr/sbin/netplan': '',
  'usr/lib/python3/dist-packages/cloudinit/version.py': '',
  'etc/cloud/cloud.cfg.d/99_raspberry-pi.cfg':
    'datasource_list: [ NoCloud, None ]\ndatasource:\n  NoCloud:\n    seedfrom: file:///boot/firmware\n',
};

/** By format: what the two file systems have beside what all have. */
export const LOOKALIKES = {
  'cloudinit-rpi': {
    root: { ...SYSTEMD, ...CLOUD_INIT, 'usr/lib/python3/dist-packages/cloudinit/config/cc_raspberry_pi.py': '' },
    boot: { 'user-data': '#cloud-config\n', 'meta-data': 'instance_id: rpios-image\n', 'network-config': '# none\n' },
    cmdline: 'console=tty1 root=PARTUUID=1a2b3c4d-02 rootwait resize\n',
  },
  cloudinit: {
    root: { ...SYSTEMD, ...CLOUD_INIT },
    boot: { 'user-data': '#cloud-config\n', 'meta-data': 'instance_id: x\n' },
    cmdline: 'root=PARTUUID=1a2b3c4d-02\n',
  },
  systemd: { root: SYSTEMD, boot: {}, cmdline: 'root=PARTUUID=1a2b3c4d-02 rootwait\n' },
  'custom-toml': {
    root: {
      ...SYSTEMD,
      'usr/lib/raspberrypi-sys-mods/firstboot': 'apply custom.toml\n',
      'usr/lib/python3/dist-packages/toml/__init__.py': '',
    },
    boot: {},
    cmdline: 'root=PARTUUID=1a2b3c4d-02 rootwait quiet init=/usr/lib/raspberrypi-sys-mods/firstboot\n',
  },
  'rpi-preseed': {
    root: {
      'usr/bin/rpi-preseed': '',
      'etc/systemd/system/multi-user.target.wants/rpi-preseed.service': LINK,
    },
    boot: {},
    cmdline: 'root=PARTUUID=1a2b3c4d-02\n',
  },
  userconf: {
    root: {
      'usr/lib/userconf-pi/userconf-service': '',
      'etc/systemd/system/multi-user.target.wants/userconfig.service': LINK,
      'etc/systemd/system/multi-user.target.wants/sshswitch.service': LINK,
    },
    boot: {},
    cmdline: 'root=PARTUUID=1a2b3c4d-02\n',
  },
  none: { root: {}, boot: {}, cmdline: 'root=PARTUUID=1a2b3c4d-02\n' },
} satisfies Record<string, { root: Tree; boot: Tree; cmdline: string }>;

interface Size {
  /** Sectors of the boot partition, in whole MiB. */
  bootSectors?: number;
  /** MiB of the root partition, and of noise in it. */
  rootSize?: number;
  noise?: number;
  folder?: string;
  /** On the root file system, beside what all have. */
  root?: Tree;
}

/** Makes `card.img` in a new folder, and gives its path. */
export async function foreignImage(
  format: keyof typeof LOOKALIKES,
  {
    bootSectors = BOOT.sectors,
    rootSize = ROOT_SIZE,
    noise = 0,
    folder = temporaryFolder(),
    root: more = {},
  }: Size = {},
): Promise<string> {
  const { root, boot, cmdline } = LOOKALIKES[format];
  if (noise > 0) {
    await mkdir(join(folder, 'root'));
    await run(['dd', 'if=/dev/urandom', `of=${join(folder, 'root/noise')}`, 'bs=1M', `count=${noise}`, 'status=none']);
  }
  const { file } = await makeVendorImage({
    folder,
    name: 'card.img',
    start: BOOT.start,
    sectors: bootSectors,
    fat: ['-F', '32', '-s', '1', '-n', 'bootfs'],
    boot: { ...boot, 'cmdline.txt': cmdline, 'config.txt': 'arm_64bit=1\n' },
    root: { ...COMMON, ...root, ...more },
    rootSize,
  });
  return file;
}

export const mtools = (image: string, program: string, ...args: string[]): Promise<{ stdout: string }> =>
  run([program, '-i', `${image}@@${BOOT.start * 512}`, ...args], { env: { MTOOLS_SKIP_CHECK: '1' } });
