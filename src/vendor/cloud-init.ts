// Pure: whether the image's cloud-init would read what lies on the boot partition.
import {
  asObject,
  bootMount,
  commandLine,
  isThere,
  onBoot,
  packagesOf,
  parseObject,
  textOf,
  unitsOf,
} from './system.ts';
import type { ImageView } from './view.ts';

export interface CloudInit {
  /** Whether it is Raspberry Pi's: `rpi:` in user-data, and the first user that it adds becomes the image's own. */
  raspberryPi: boolean;
  /** What says that it reads the boot partition, file by file. */
  evidence: string[];
  /** What keeps it from that; none where it does read it. */
  against: string[];
  /** Whether it does nothing at all. */
  disabled: boolean;
}

const PYTHON = 'usr/lib/python3/dist-packages/cloudinit';
const MODULE = `${PYTHON}/config/cc_raspberry_pi.py`;
/** pi-gen writes it (describe.ts): into Raspberry Pi OS, and into what others make of it. */
const RASPBERRY_PI = 'etc/rpi-issue';
const CONFIGURATION = 'etc/cloud';
/** Of cloud-init before and after 24.3, which made one unit of several; any of them masked is somebody's intention. */
const UNITS = ['cloud-init-local.service', 'cloud-init-main.service', 'cloud-init.service', 'cloud-init.target'];
const SEED = ['user-data', 'meta-data'];

/** Undefined where cloud-init is not installed. `seeded`: its seed will be on the boot partition, and it ordered after that. */
export async function cloudInitOf(view: ImageView, { seeded = false } = {}): Promise<CloudInit | undefined> {
  const { files } = view.root;
  const program = await isThere(files, 'usr/bin/cloud-init');
  const module = (await files.list(PYTHON)).length > 0;
  if (!program && !module) return undefined;
  const evidence = [program ? '/usr/bin/cloud-init is there' : `/${PYTHON} is there`];
  const against = await disabledBy(view);
  const disabled = against.length > 0;
  const { list, source, from } = await dataSource(view);
  if (from === undefined) {
    against.push('nothing in /etc/cloud names the boot partition as its data source');
  } else {
    evidence.push(`${source} seeds NoCloud from the boot partition: ${from}`);
    if (list !== undefined && !list.includes('NoCloud')) against.push('its datasource_list has no NoCloud');
    const ready = seeded ? 'its seed is put there' : await readyFor(view);
    if (ready === undefined) {
      against.push(
        'the boot partition has no user-data and no meta-data, and nothing orders cloud-init after it: as in the image of 2025-10-01, which its makers give as systemd',
      );
    } else {
      evidence.push(ready);
    }
  }
  // cloud-init itself has had the module since 25.2, on all systems.
  const raspberryPi = (await isThere(files, MODULE)) && (await isThere(files, RASPBERRY_PI));
  if (raspberryPi) evidence.push(`/${MODULE}: it knows rpi:, and /${RASPBERRY_PI} says that it is Raspberry Pi's`);
  return { raspberryPi, evidence, against, disabled };
}

/** cloud-init's documentation, "How to disable cloud-init", systemd's masks, and `systemctl disable` of all that Debian's package enables. */
async function disabledBy(view: ImageView): Promise<string[]> {
  const found: string[] = [];
  if (await isThere(view.root.files, `${CONFIGURATION}/cloud-init.disabled`))
    found.push('/etc/cloud/cloud-init.disabled disables it');
  if ((await commandLine(view)).includes('cloud-init=disabled')) found.push('cmdline.txt says cloud-init=disabled');
  const units = await unitsOf(view);
  for (const unit of UNITS) {
    const mask = await units.masked(unit);
    if (mask !== undefined) found.push(`${mask} masks it`);
  }
  const packaged = (await packagesOf(view)).has('cloud-init');
  if (packaged && !UNITS.some((unit) => units.enabled(unit) !== undefined))
    found.push('none of its units is enabled: nothing starts it');
  return found;
}

export interface DataSource {
  list?: unknown[];
  /** What NoCloud is told: `seedfrom` or `fs_label`, and by which file. */
  seed?: string;
  source: string;
  /** The same words where that is the boot partition. */
  from?: string;
}

/**
 * Where NoCloud looks, by the files of /etc/cloud in their order, the later over the earlier; the kernel's command line over all
 * (cloud-init's documentation, "NoCloud": `seedfrom`, `fs_label`, `ds=nocloud;s=`).
 */
export async function dataSource(view: ImageView): Promise<DataSource> {
  const { files } = view.root;
  const drops = (await files.list(`${CONFIGURATION}/cloud.cfg.d`)).filter((name) => name.endsWith('.cfg'));
  const found: DataSource = { source: '' };
  const place = await bootMount(view);
  const label = view.boot.facts.label.toLowerCase();
  const take = (source: string, key: string, value: string): void => {
    const isBoot =
      key === 'fs_label'
        ? value.toLowerCase() === label
        : value.replace(/^file:\/\//, '').replace(/\/+$/, '') === place;
    const seed = `${key}: ${value}`;
    Object.assign(found, { source, seed, from: isBoot ? seed : undefined });
  };
  for (const path of ['cloud.cfg', ...drops.map((name) => `cloud.cfg.d/${name}`)]) {
    const document = parseObject(await textOf(files, `${CONFIGURATION}/${path}`));
    if (Array.isArray(document?.['datasource_list'])) found.list = document['datasource_list'] as unknown[];
    const options = asObject(asObject(document?.['datasource'])?.['NoCloud']) ?? {};
    const key = ['seedfrom', 'fs_label'].find((name) => typeof options[name] === 'string');
    if (key !== undefined) take(`/${CONFIGURATION}/${path}`, key, String(options[key]));
  }
  const word = (await commandLine(view)).find((text) => text.startsWith('ds=nocloud'));
  const given = word?.split(';').find((part) => /^(s|seedfrom)=/.test(part));
  if (given !== undefined) take('cmdline.txt', 'seedfrom', given.replace(/^\w+=/, ''));
  // Its own default.
  if (found.source === '' && label === 'cidata') take('cloud-init itself', 'fs_label', 'cidata');
  return found;
}

/**
 * What says that the boot partition will be there when cloud-init looks for its seed. The image of 2025-10-01 has the data source but neither
 * seed nor order (pi-gen e4640531, "Partially disable cloud-init"); 2025-11-24 brought both (cb05dfcc, rpi-cloud-init-mods).
 */
async function readyFor(view: ImageView): Promise<string | undefined> {
  const seeds: string[] = [];
  for (const name of SEED) if (await onBoot(view, name)) seeds.push(name);
  if (seeds.length > 0) return `the boot partition has ${seeds.join(' and ')}`;
  const mods = (await packagesOf(view)).get('rpi-cloud-init-mods');
  return mods === undefined ? undefined : `rpi-cloud-init-mods ${mods.version} is installed`;
}
