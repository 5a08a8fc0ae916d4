// Small images as other makers have them: a FAT and an ext4 with as few files as the recognition of a format asks for.
import { mkdir, open, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from '../../src/host/exec.ts';
import { encodeMbr } from '../../src/image/mbr.ts';
import { temporaryFolder } from './temporary.ts';

export const BOOT = { start: 8192, sectors: 70_000 };

/** Paths of the root file system with their texts; `-> TARGET` is a symbolic link. */
type Tree = Record<string, string>;

const LINK = '-> /dev/null.service';
const COMMON: Tree = {
  'etc/fstab': 'PARTUUID=1a2b3c4d-01 /boot/firmware vfat defaults 0 2\n',
  'etc/hostname': 'raspberrypi\n',
  'etc/rpi-issue': 'Raspberry Pi reference 2025-12-04\n',
  'etc/systemd/system/multi-user.target.wants/NetworkManager.service': LINK,
};
const SYSTEMD: Tree = { 'usr/lib/systemd/system-generators/systemd-run-generator': '' };
const CLOUD_INIT: Tree = {
  'usr/bin/cloud-init': '',
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
  /** Sectors of the two partitions. */
  bootSectors?: number;
  rootSectors?: number;
  /** MiB of noise in the root. */
  noise?: number;
  folder?: string;
}

/** Makes `card.img` in a new folder, and gives its path. */
export async function foreignImage(
  format: keyof typeof LOOKALIKES,
  { bootSectors = BOOT.sectors, rootSectors = 32_768, noise = 0, folder = temporaryFolder() }: Size = {},
): Promise<string> {
  const { root, boot, cmdline } = LOOKALIKES[format];
  const start = BOOT.start + bootSectors + (2048 - (bootSectors % 2048));
  const file = join(folder, 'card.img');
  for (const [path, text] of Object.entries({ ...COMMON, ...root })) await put(join(folder, 'root', path), text);
  for (const [path, text] of Object.entries({ ...boot, 'cmdline.txt': cmdline, 'config.txt': 'arm_64bit=1\n' }))
    await put(join(folder, 'boot', path), text);
  if (noise > 0)
    await run(['dd', 'if=/dev/urandom', `of=${join(folder, 'root/noise')}`, 'bs=1M', `count=${noise}`, 'status=none']);
  const handle = await open(file, 'w');
  const table = [
    { number: 1, type: 0x0c, start: BOOT.start, sectors: bootSectors },
    { number: 2, type: 0x83, start, sectors: rootSectors },
  ] as const;
  await handle.truncate((start + rootSectors) * 512);
  await handle.write(encodeMbr(0x1a2b3c4d, [...table]), 0, 512, 0);
  await handle.close();
  const fat = ['-F', '32', '-s', '1', '-n', 'bootfs', '--offset', `${BOOT.start}`, file, `${bootSectors / 2}`];
  await run(['mkfs.vfat', ...fat]);
  const files = Object.keys({ ...boot, 'cmdline.txt': '', 'config.txt': '' }).map((name) => join(folder, 'boot', name));
  await mtools(file, 'mcopy', ...files, '::/');
  const ext4 = ['-q', '-F', '-t', 'ext4', '-L', 'rootfs', '-E', `offset=${start * 512}`, '-d', join(folder, 'root')];
  await run(['mke2fs', ...ext4, file, `${rootSectors / 2}k`]);
  return file;
}

export const mtools = (image: string, program: string, ...args: string[]): Promise<{ stdout: string }> =>
  run([program, '-i', `${image}@@${BOOT.start * 512}`, ...args], { env: { MTOOLS_SKIP_CHECK: '1' } });

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  if (text.startsWith('-> ')) await symlink(text.slice(3), path);
  else await writeFile(path, text);
}
