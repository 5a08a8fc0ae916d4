// As little of each kind of image as tells it from the others; sources are in src/vendor/facts.ts and beside what is read there.
import type { Tree } from './vendor-image.ts';

const enabled = (unit: string, target = 'multi-user.target'): Tree => ({
  [`etc/systemd/system/${target}.wants/${unit}`]: { link: `/usr/lib/systemd/system/${unit}` },
});
export const masked = (unit: string): Tree => ({ [`etc/systemd/system/${unit}`]: { link: '/dev/null' } });

/** `name version architecture` a line. */
export const dpkgStatus = (...packages: string[]): string =>
  packages
    .map((line) => line.split(' '))
    .map(
      ([name, version, architecture]) =>
        `Package: ${name}\nStatus: install ok installed\nArchitecture: ${architecture}\nVersion: ${version}\n`,
    )
    .join('\n');

const fstab = (boot: string): string =>
  `proc            /proc           proc    defaults          0       0\nPARTUUID=1a2b3c4d-01  ${boot}  vfat    defaults          0       2\nPARTUUID=1a2b3c4d-02  /               ext4    defaults,noatime  0       1\n`;

const COMMON: Tree = {
  'etc/fstab': fstab('/boot/firmware'),
  'etc/hostname': 'raspberrypi\n',
  'etc/passwd': 'root:x:0:0:root:/root:/bin/bash\npi:x:1000:1000:,,,:/home/pi:/usr/sbin/nologin\n',
  'etc/shadow': 'root:*:20000:0:99999:7:::\npi:!:20000:0:99999:7:::\n',
  'usr/lib/systemd/system-generators/systemd-run-generator': 'elf',
  'usr/lib/raspberrypi-sys-mods/imager_custom': '#!/bin/sh\n',
  'usr/lib/userconf-pi/userconf': '#!/bin/sh\n',
  'usr/lib/userconf-pi/userconf-service': '#!/bin/sh\n',
  ...enabled('userconfig.service'),
  ...enabled('sshswitch.service'),
};

const CLOUD_CFG = `# configure cloud-init with NoCloud

datasource_list: [ NoCloud, None ]
datasource:
  NoCloud:
    seedfrom: file:///boot/firmware
`;

const CMDLINE =
  'console=serial0,115200 console=tty1 root=PARTUUID=1a2b3c4d-02 rootfstype=ext4 fsck.repair=yes rootwait';

export interface Era {
  boot: Tree;
  root: Tree;
}

const cloudInit: Tree = {
  'usr/bin/cloud-init': '#!/usr/bin/python3\n',
  ...enabled('cloud-init-local.service', 'cloud-init.target'),
  ...enabled('cloud-init-main.service', 'cloud-init.target'),
  'usr/lib/python3/dist-packages/cloudinit/__init__.py': '',
  'usr/lib/python3/dist-packages/cloudinit/config/cc_raspberry_pi.py': '',
  'etc/cloud/cloud.cfg': 'users:\n- default\ncloud_init_modules: [seed_random, bootcmd, users_groups]\n',
  'etc/cloud/cloud.cfg.d/99_raspberry-pi.cfg': CLOUD_CFG,
};

const trixie: Tree = {
  ...COMMON,
  'etc/machine-id': 'uninitialized\n',
  'etc/os-release': 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_CODENAME=trixie\nID=debian\n',
  'etc/rpi-issue':
    'Raspberry Pi reference 2025-12-04\nGenerated using pi-gen, https://github.com/RPi-Distro/pi-gen, 0123456, stage2\n',
  'usr/share/initramfs-tools/scripts/local-premount/resize_early': '#!/bin/sh\n',
  'usr/lib/systemd/system/rpi-resize.service': '[Unit]\n',
  ...enabled('rpi-resize.service', 'sysinit.target'),
  ...cloudInit,
};

/** 2025-11-24 and later. */
export const TRIXIE: Era = {
  boot: {
    'config.txt': 'auto_initramfs=1\n',
    'cmdline.txt': `${CMDLINE} resize\n`,
    'user-data': '#cloud-config\n\n#hostname: raspberrypi\n',
    'network-config': '#network:\n',
    'meta-data': 'dsmode: local\ninstance_id: rpios-image\n',
  },
  root: {
    ...trixie,
    'var/lib/dpkg/status': dpkgStatus('dpkg 1.22.21 arm64', 'cloud-init 25.2 all', 'rpi-cloud-init-mods 1.0 all'),
  },
};

/** 2025-10-01: cloud-init is there, but neither its seed nor an order (pi-gen e4640531). */
export const FIRST_TRIXIE: Era = {
  boot: { 'config.txt': 'auto_initramfs=1\n', 'cmdline.txt': `${CMDLINE} resize\n` },
  root: { ...trixie, 'var/lib/dpkg/status': dpkgStatus('dpkg 1.22.21 arm64', 'cloud-init 25.2 all') },
};

export const BOOKWORM: Era = {
  boot: {
    'config.txt': 'auto_initramfs=1\n',
    'cmdline.txt': `${CMDLINE} quiet init=/usr/lib/raspberrypi-sys-mods/firstboot\n`,
  },
  root: {
    ...COMMON,
    'etc/machine-id': '',
    'etc/os-release': 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_CODENAME=bookworm\nID=debian\n',
    'etc/rpi-issue': 'Raspberry Pi reference 2023-10-10\n',
    'var/lib/dpkg/status': dpkgStatus('dpkg 1.21.22 arm64', 'python3-toml 0.10.2 all'),
    'usr/lib/raspberrypi-sys-mods/firstboot': '#!/bin/bash\n# applies custom.toml\n',
    'usr/share/initramfs-tools/scripts/local-premount/firstboot': '#!/bin/sh\n',
    ...enabled('regenerate_ssh_host_keys.service'),
  },
};

export const PRESEED: Era = {
  boot: { 'config.txt': 'auto_initramfs=1\n', 'cmdline.txt': `${CMDLINE} resize\n` },
  root: {
    ...Object.fromEntries(Object.entries(trixie).filter(([path]) => !(path in cloudInit))),
    'var/lib/dpkg/status': dpkgStatus('dpkg 1.22.21 arm64', 'rpi-preseed 0.1 all'),
    'usr/bin/rpi-preseed': { link: '/usr/lib/rpi-preseed/rpi-preseed' },
    'usr/lib/rpi-preseed/rpi-preseed': '#!/bin/sh\n',
    ...enabled('rpi-preseed.service'),
  },
};

/** 32 bits, before systemd.run= and custom.toml: buster. */
export const BUSTER: Era = {
  boot: {
    'config.txt': 'dtparam=audio=on\n',
    'cmdline.txt': `${CMDLINE} quiet init=/usr/lib/raspi-config/init_resize.sh\n`,
  },
  root: {
    'etc/fstab': fstab('/boot'),
    'etc/hostname': 'raspberrypi\n',
    'etc/os-release': 'PRETTY_NAME="Raspbian GNU/Linux 10 (buster)"\nVERSION_CODENAME=buster\nID=raspbian\n',
    'etc/machine-id': '',
    'var/lib/dpkg/status': dpkgStatus('dpkg 1.19.7 armhf'),
    'etc/init.d/resize2fs_once': '#!/bin/sh\n',
    'etc/rc3.d/S01resize2fs_once': { link: '../init.d/resize2fs_once' },
    ...enabled('sshswitch.service'),
  },
};
