// Device tree, overlays, prefixes, and where the kernel's arguments come from.
import { A, type Case } from './case.ts';

export const DEVICE_TREE: Case[] = [
  { source: 'DTBs, overlays and config.txt', config: A, board: 'pi3b-plus', deviceTree: 'bcm2710-rpi-3-b-plus.dtb' },
  {
    source: 'DTBs, overlays and config.txt: of Linux',
    config: A,
    without: ['bcm2710-rpi-3-b.dtb'],
    deviceTree: 'bcm2837-rpi-3-b.dtb',
  },
  { source: 'legacy: upstream_kernel', config: `${A}\nupstream_kernel=1`, deviceTree: 'bcm2837-rpi-3-b.dtb' },
  {
    source: 'legacy: upstream_kernel',
    config: `${A}\nupstream_kernel=1`,
    without: ['bcm2837-rpi-3-b.dtb'],
    deviceTree: 'bcm2710-rpi-3-b.dtb',
  },
  { source: 'Forcing a specific Device Tree', config: `${A}\ndevice_tree=my.dtb`, deviceTree: 'my.dtb' },
  {
    source: 'Disabling Device Tree usage',
    config: `${A}\ndevice_tree=`,
    fails: /config\.txt line 3 has an empty device_tree=/,
  },
  {
    source: 'Debugging: a missing DTB',
    config: A,
    without: ['bcm2710-rpi-3-b.dtb', 'bcm2837-rpi-3-b.dtb'],
    fails: /no bcm2710-rpi-3-b\.dtb or bcm2837-rpi-3-b\.dtb .*the device tree of a Raspberry Pi 3B/,
  },
  {
    source: 'Debugging: a corrupt DTB',
    config: A,
    with: { 'bcm2710-rpi-3-b.dtb': 'no tree' },
    fails: /is no device tree/,
  },
  {
    source: 'device_tree_address',
    config: `${A}\ndevice_tree_address=0x03000000`,
    warns: /line 3: device_tree_address=0x03000000 does nothing/,
  },
  {
    source: 'dtoverlay',
    config: `${A}\ndtoverlay=vc4-kms-v3d,noaudio`,
    warns: /line 3: dtoverlay=vc4-kms-v3d,noaudio is not applied here: the kernel gets a device tree without overlays/,
  },
  { source: 'dtoverlay: empty', config: `${A}\ndtoverlay=`, kernel: 'a.img' },
  { source: 'raspberrypi/utils, dtapply: none', config: `${A}\ndtoverlay=none`, kernel: 'a.img' },
  {
    source: 'Debugging: missing overlays are skipped',
    config: `${A}\ndtoverlay=acme`,
    warns: /there is no overlays\/acme\.dtbo, unless overlays\/overlay_map\.dtb knows another for it\.$/,
  },
  {
    source: 'Debugging: missing overlays are skipped',
    config: `${A}\ndtoverlay=acme`,
    without: ['overlays/overlay_map.dtb'],
    warns: /does nothing on a Raspberry Pi either: there is no overlays\/acme\.dtbo\.$/,
  },
  ...['act-led', 'disable-bt', 'disable-wifi', 'miniuart-bt'].map((overlay) => ({
    source: 'raspberrypi/linux, overlay_map.dts: renamed',
    config: `${A}\ndtoverlay=pi3-${overlay}`,
    with: { [`overlays/${overlay}.dtbo`]: 'x' },
    warns: /dtoverlay=pi3-\S+ is not applied/,
  })),
  {
    source: 'raspberrypi/linux, overlay_map.dts: renamed',
    config: `${A}\ndtoverlay=spi0-cs`,
    with: { 'overlays/spi0-2cs.dtbo': 'x' },
    warns: /dtoverlay=spi0-cs is not applied/,
  },
  {
    source: 'The overlay map: a file on the card',
    config: `${A}\ndtoverlay=pi3-disable-bt`,
    without: ['overlays/overlay_map.dtb'],
    warns: /there is no overlays\/pi3-disable-bt\.dtbo\.$/,
  },
  { source: 'dtparam', config: `${A}\ndtparam=audio=on`, warns: /line 3: dtparam=audio=on is not applied/ },
  { source: 'Shortcuts and syntax variants', config: `${A}\ndevice_tree_param=i2c`, warns: /is not applied/ },
  { source: 'overlay_prefix', config: `${A}\noverlay_prefix=o/\ndtoverlay=acme`, warns: /there is no o\/acme\.dtbo/ },
];

const UNDER_B = { 'b/a.img': 'x', 'b/bcm2710-rpi-3-b.dtb': 'x', 'b/cmdline.txt': 'root=b', 'b/a.gz': 'x' };
export const PREFIX: Case[] = [
  {
    source: 'os_prefix: kernel and .dtb must be there',
    config: `${A}\nos_prefix=b/`,
    kernel: 'a.img',
    warns: /line 3: os_prefix=b\/ is ignored, as the kernel/,
  },
  {
    source: 'os_prefix: kernel and .dtb must be there',
    config: `${A}\nos_prefix=b/`,
    with: { 'b/a.img': 'x' },
    kernel: 'a.img',
    warns: /ignored, as the device tree/,
  },
  {
    source: 'os_prefix: part of the name',
    config: 'arm_64bit=1\nkernel=.img\nos_prefix=a\ndevice_tree=/my.dtb',
    kernel: 'a.img',
    cmdline: 'rootfstype',
    warns: /acmdline\.txt: missing/,
  },
  {
    source: 'os_prefix: an absolute path',
    config: `${A}\nos_prefix=b/\nkernel=/b.img\ndevice_tree=/my.dtb\ncmdline=/other.txt`,
    kernel: 'b.img',
    deviceTree: 'my.dtb',
    cmdline: 'root=other',
  },
  {
    source: 'os_prefix: initramfs too',
    config: `${A}\nos_prefix=b/\ndevice_tree=/my.dtb\ninitramfs a.gz`,
    with: UNDER_B,
    kernel: 'b/a.img',
    initramfs: ['b/a.gz'],
    cmdline: 'root=b',
  },
  {
    source: 'os_prefix: initramfs too',
    config: `${A}\nos_prefix=b/\ndevice_tree=/my.dtb\ninitramfs b.gz`,
    with: UNDER_B,
    fails: /no b\/b\.gz/,
  },
  {
    source: 'os_prefix: overlays are shared',
    config: `${A}\nos_prefix=b/\ndevice_tree=/my.dtb\ndtoverlay=acme`,
    with: UNDER_B,
    warns: /there is no overlays\/acme/,
  },
  {
    source: 'os_prefix: overlays with a README',
    config: `${A}\nos_prefix=b/\ndevice_tree=/my.dtb\ndtoverlay=acme`,
    with: { ...UNDER_B, 'b/overlays/README': 'x' },
    warns: /there is no b\/overlays\/acme/,
  },
  {
    source: 'legacy: upstream_kernel sets os_prefix',
    config: `${A}\nupstream_kernel=1\ndevice_tree=/my.dtb`,
    with: { 'upstream/a.img': 'x', 'upstream/cmdline.txt': 'root=up' },
    kernel: 'upstream/a.img',
    cmdline: 'root=up',
  },
  {
    source: 'legacy: upstream_kernel, unless set',
    config: `${A}\nupstream_kernel=1\nos_prefix=b/\ndevice_tree=/my.dtb`,
    with: { ...UNDER_B, 'upstream/a.img': 'x' },
    kernel: 'b/a.img',
  },
];

export const CMDLINE: Case[] = [
  { source: 'cmdline', config: A, cmdline: 'coherent_pool=1M 8250.nr_uarts=0 root=/dev/mmcblk0p2' },
  { source: 'cmdline', config: `${A}\ncmdline=other.txt`, cmdline: 'root=other' },
  {
    source: 'firmware#948: a cmdline of its own',
    config: A,
    without: ['cmdline.txt'],
    cmdline: 'root=/dev/mmcblk0p2 rootfstype=ext4 rootwait',
    warns: /cmdline\.txt: missing/,
  },
  {
    source: 'autoboot.txt',
    config: A,
    with: { 'autoboot.txt': '[all]\nboot_partition=2' },
    kernel: 'a.img',
    warns: /autoboot\.txt can choose/,
  },
  { source: 'legacy: total_mem', config: `${A}\ntotal_mem=512`, warns: /line 3: total_mem=512 does nothing/ },
];
