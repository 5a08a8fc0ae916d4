// Pure: how an image grows to the size of its card on its first boot, and whether that is still to come.
import { commandLine, isThere, packagesOf, parseObject, textOf, unitsOf } from './system.ts';
import type { ImageView } from './view.ts';

export interface Growth {
  what: 'partition' | 'file system' | 'both';
  how: string;
  /** Whether it will happen at the next boot. */
  armed: boolean;
}

const HOOKS = 'usr/share/initramfs-tools/scripts';
const FIRSTBOOT = '/usr/lib/raspberrypi-sys-mods/firstboot';

/** Every way that an image brings. Sources: RPi-Distro/raspberrypi-sys-mods and raspi-config; cloud-init's "Growpart". */
export async function growthOf(view: ImageView): Promise<Growth[]> {
  const { files } = view.root;
  const words = await commandLine(view);
  const units = await unitsOf(view);
  const found: Growth[] = [];
  if (await isThere(files, `${HOOKS}/local-premount/resize_early`))
    found.push({
      what: 'partition',
      how: 'the initramfs (resize_early), armed by the word resize',
      armed: words.includes('resize'),
    });
  if (await isThere(files, 'usr/lib/systemd/system/rpi-resize.service')) {
    const armed = units.enabled('rpi-resize.service') !== undefined && (await firstBootToCome(view));
    found.push({ what: 'file system', how: 'rpi-resize.service and systemd-growfs, on a first boot', armed });
  }
  if (await isThere(files, `${HOOKS}/local-premount/firstboot`))
    found.push({
      what: 'both',
      how: `the initramfs (firstboot), armed by init=${FIRSTBOOT}`,
      armed: words.some((word) => word.includes('firstboot')),
    });
  const init = 'init=/usr/lib/raspi-config/init_resize.sh';
  if (words.includes(init)) found.push({ what: 'partition', how: init, armed: true });
  if (await isThere(files, 'etc/init.d/resize2fs_once')) {
    const armed = (await files.list('etc/rc3.d')).some((name) => /^S\d+resize2fs_once$/.test(name));
    found.push({ what: 'file system', how: '/etc/init.d/resize2fs_once', armed });
  }
  found.push(...(await byCloudInit(view)));
  return found;
}

/** ConditionFirstBoot=yes holds where machine-id is missing or says `uninitialized` (machine-id(5)). */
async function firstBootToCome({ root }: ImageView): Promise<boolean> {
  const id = await root.files.read('etc/machine-id');
  return id === undefined || id.toString().trim() === 'uninitialized';
}

async function byCloudInit(view: ImageView): Promise<Growth[]> {
  const config = parseObject(await textOf(view.root.files, 'etc/cloud/cloud.cfg'));
  const listed: unknown[] = Array.isArray(config?.['cloud_init_modules']) ? config['cloud_init_modules'] : [];
  const names = listed.map((one) => (Array.isArray(one) ? String(one[0]) : String(one)));
  const program =
    (await packagesOf(view)).has('cloud-guest-utils') || (await isThere(view.root.files, 'usr/bin/growpart'));
  return [
    ...(names.includes('growpart')
      ? [{ what: 'partition' as const, how: 'cloud-init (growpart)', armed: program }]
      : []),
    ...(names.includes('resizefs')
      ? [{ what: 'file system' as const, how: 'cloud-init (resizefs)', armed: true }]
      : []),
  ];
}
