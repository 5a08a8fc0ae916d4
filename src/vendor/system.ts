// Pure: what the files of a Debian-like system say that several questions need: packages, units, the command line, where things are.
import { parse } from 'yaml';
import type { Files, ImageView } from './view.ts';

/** The status of all packages of a desktop is 3 MB. */
const STATUS_MAX = 64 << 20;

export interface Package {
  version: string;
  architecture: string;
}

/** What it holds as text; empty where there is no such file. */
export async function textOf(files: Files, path: string): Promise<string> {
  return (await files.read(path))?.toString('utf8') ?? '';
}

/** Rows of passwd(5), shadow(5) or group(5), by their fields; none where there is no such file. */
export async function rowsOf(files: Files, path: string): Promise<string[][]> {
  const lines = (await textOf(files, path)).split('\n').filter(Boolean);
  return lines.map((line) => line.split(':'));
}

/** Whether there is a file, a folder or a link of that path; its folder's names count, so a link may lead nowhere. */
export async function isThere(files: Files, path: string): Promise<boolean> {
  const parts = path.split('/');
  const name = parts.pop() ?? '';
  return (await files.list(parts.join('/'))).includes(name);
}

/** The same on a FAT, where case does not count, of a name in its root folder. */
export async function onBoot({ boot }: ImageView, name: string): Promise<boolean> {
  return (await boot.files.list('')).some((other) => other.toLowerCase() === name.toLowerCase());
}

/** What dpkg has installed, by name. */
export async function packagesOf({ root }: ImageView): Promise<Map<string, Package>> {
  const status = (await root.files.read('var/lib/dpkg/status', STATUS_MAX))?.toString() ?? '';
  const found = new Map<string, Package>();
  for (const stanza of status.split('\n\n')) {
    const field = (key: string): string => new RegExp(`^${key}: (.*)$`, 'm').exec(stanza)?.[1] ?? '';
    if (field('Status').endsWith(' installed'))
      found.set(field('Package'), { version: field('Version'), architecture: field('Architecture') });
  }
  return found;
}

/** Words of the kernel's command line as it lies on the boot partition. */
export async function commandLine({ boot }: ImageView): Promise<string[]> {
  return (await textOf(boot.files, 'cmdline.txt')).split(/\s+/).filter(Boolean);
}

/** A line of fstab(5). */
export interface Mount {
  device: string;
  place: string;
  type: string;
  options: string;
}

/** What the system mounts by /etc/fstab, in its order. */
export async function mountsOf(files: Files): Promise<Mount[]> {
  const lines = (await textOf(files, 'etc/fstab')).split('\n').map((line) => line.trim());
  return lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(/\s+/))
    .map(([device = '', place = '', type = '', options = '']) => ({ device, place, type, options }));
}

/** Where the system mounts its boot partition: /etc/fstab's line of a FAT below /boot; without one, where it has been since bookworm. */
export async function bootMount({ root }: ImageView): Promise<string> {
  const found = (await mountsOf(root.files)).find(({ place, type }) => type === 'vfat' && /^\/boot(\/|$)/.test(place));
  return found?.place.replace(/\/$/, '') ?? '/boot/firmware';
}

const UNITS = 'etc/systemd/system';

export interface Units {
  /** All that something starts. */
  names(): string[];
  /** Path of the link that starts it, or undefined. */
  enabled(unit: string): string | undefined;
  /** Path of the link to /dev/null that keeps it from starting, or undefined. */
  masked(unit: string): Promise<string | undefined>;
}

/** Which units an administrator, or a package's script, has enabled. */
export async function unitsOf({ root: { files } }: ImageView): Promise<Units> {
  const links = new Map<string, string>();
  for (const folder of await files.list(UNITS)) {
    if (!/\.(wants|requires)$/.test(folder)) continue;
    for (const unit of await files.list(`${UNITS}/${folder}`)) links.set(unit, `/${UNITS}/${folder}/${unit}`);
  }
  return {
    names: () => [...links.keys()],
    enabled: (unit) => links.get(unit),
    async masked(unit) {
      return (await files.link(`${UNITS}/${unit}`)) === '/dev/null' ? `/${UNITS}/${unit}` : undefined;
    },
  };
}

/** A YAML or JSON text as an object; undefined for one that is none, or that cannot be read. */
export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    return asObject(parse(text, { logLevel: 'silent' }));
  } catch {
    return undefined;
  }
}

export function asObject(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}
