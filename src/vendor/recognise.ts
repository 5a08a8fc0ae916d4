// Pure: how an image's first boot is told who the machine is, recognised by its files, never by its name.
import { cloudInitOf } from './cloud-init.ts';
import { commandLine, isThere, packagesOf, textOf, unitsOf } from './system.ts';
import type { ImageView, InitFormat } from './view.ts';

/** Of one format: what says that the image reads it, and what keeps it from that although something of it is there. */
interface Finding {
  format: InitFormat;
  evidence: string[];
  against: string[];
}

export interface Recognised {
  format: InitFormat;
  /** Each: which file says it. */
  evidence: string[];
  /** Further formats that the image would read, the better ones first. */
  others: InitFormat[];
  /** Why a format is not taken although something of it is there. */
  against: string[];
}

const SYS_MODS = 'usr/lib/raspberrypi-sys-mods';

/**
 * The format to write. Several are understood by most images: the first of this order is taken, which is that of how much they carry, and
 * the one their makers name. Bookworm's custom.toml comes before its firstrun.sh: it is applied before anything else of the system runs.
 */
export async function recognise(view: ImageView): Promise<Recognised> {
  const findings = [
    ownHeader(view),
    await cloudInit(view),
    await rpiPreseed(view),
    await customToml(view),
    await systemd(view),
    await userconf(view),
  ].filter((finding) => finding !== undefined);
  const [best, ...others] = findings.filter(({ evidence, against }) => evidence.length > 0 && against.length === 0);
  return {
    format: best?.format ?? 'none',
    evidence: best?.evidence ?? ['no file of a first-boot format that piimg knows is there'],
    others: others.map(({ format }) => format),
    against: findings.flatMap(({ format, against }) => against.map((why) => `${format}: ${why}`)),
  };
}

function ownHeader({ piimg }: ImageView): Finding | undefined {
  // On such a base it is that one's first boot which is told.
  if (!piimg || piimg.firstBoot === 'own') return undefined;
  return { format: 'piimg', evidence: [`its header says: role ${piimg.role} on ${piimg.base}`], against: [] };
}

async function cloudInit(view: ImageView): Promise<Finding | undefined> {
  const found = await cloudInitOf(view);
  if (found === undefined) return undefined;
  const { raspberryPi, evidence, against } = found;
  return { format: raspberryPi ? 'cloudinit-rpi' : 'cloudinit', evidence, against };
}

/** raspberrypi/rpi-preseed: Makefile (paths), systemd/rpi-preseed.service (its condition and WantedBy). */
async function rpiPreseed(view: ImageView): Promise<Finding | undefined> {
  const { files } = view.root;
  const found = (await isThere(files, 'usr/bin/rpi-preseed')) || (await isThere(files, 'usr/lib/rpi-preseed'));
  if (!found) return undefined;
  const unit = 'rpi-preseed.service';
  const units = await unitsOf(view);
  const [link, mask] = [units.enabled(unit), await units.masked(unit)];
  const against = [
    ...(mask === undefined ? [] : [`${mask} masks it`]),
    ...(link === undefined ? [`${unit} is not enabled`] : []),
    ...((await isThere(files, 'var/lib/rpi-preseed/applied')) ? ['/var/lib/rpi-preseed/applied: it has run'] : []),
  ];
  return { format: 'rpi-preseed', evidence: ['/usr/lib/rpi-preseed is there', `${link ?? unit} starts it`], against };
}

/** RPi-Distro/raspberrypi-sys-mods, bookworm: usr/lib/raspberrypi-sys-mods/firstboot and init_config, which imports toml. */
async function customToml(view: ImageView): Promise<Finding | undefined> {
  const script = await textOf(view.root.files, `${SYS_MODS}/firstboot`);
  if (!script.includes('custom.toml')) return undefined;
  const armed = (await commandLine(view)).includes(`init=/${SYS_MODS}/firstboot`);
  const evidence = [`/${SYS_MODS}/firstboot reads custom.toml`, `cmdline.txt starts it: init=/${SYS_MODS}/firstboot`];
  const against: string[] = [];
  if (!armed) against.push('cmdline.txt does not start firstboot: it has run, or was taken out');
  const toml =
    (await packagesOf(view)).has('python3-toml') ||
    (await isThere(view.root.files, 'usr/lib/python3/dist-packages/toml'));
  if (toml) evidence.push('python3-toml is installed');
  else against.push('python3-toml is not installed, without which firstboot cannot read it');
  return { format: 'custom-toml', evidence, against };
}

/** systemd-run-generator(8): `systemd.run=` on the command line. imager_custom is what the script calls where it is there. */
async function systemd(view: ImageView): Promise<Finding | undefined> {
  const generator = 'systemd-run-generator';
  const folders = ['usr/lib/systemd/system-generators', 'lib/systemd/system-generators'];
  let found: string | undefined;
  for (const folder of folders)
    if (found === undefined && (await isThere(view.root.files, `${folder}/${generator}`)))
      found = `/${folder}/${generator}`;
  if (found === undefined) return undefined;
  const evidence = [`${found} runs what systemd.run= names`];
  for (const path of [`${SYS_MODS}/imager_custom`, 'usr/lib/userconf-pi/userconf'])
    if (await isThere(view.root.files, path)) evidence.push(`/${path} is there for firstrun.sh`);
  return { format: 'systemd', evidence, against: [] };
}

/** RPi-Distro/userconf-pi: userconf-service reads userconf.txt; raspberrypi-sys-mods: sshswitch reads ssh and ssh.txt. */
async function userconf(view: ImageView): Promise<Finding | undefined> {
  const units = await unitsOf(view);
  const service = 'usr/lib/userconf-pi/userconf-service';
  const [link, mask] = [units.enabled('userconfig.service'), await units.masked('userconfig.service')];
  const ssh = units.enabled('sshswitch.service');
  const evidence = ssh === undefined ? [] : [`${ssh} reads ssh`];
  const against: string[] = [];
  if (await isThere(view.root.files, service)) {
    evidence.push(`/${service} reads userconf.txt`);
    if (mask !== undefined) against.push(`${mask} masks it`);
    else if (link === undefined) against.push('userconfig.service is not enabled: userconf.txt is not read');
    else evidence.push(`${link} starts it`);
  }
  return evidence.length === 0 ? undefined : { format: 'userconf', evidence, against };
}
