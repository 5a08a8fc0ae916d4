// Pure: what identity an image carries, by names only: nothing secret of it is read out.
import { shownOctets } from '../lib/utf8.ts';
import { namesOfWifi, promisedByScript } from './first-boot-script.ts';
import { asObject, commandLine, onBoot, parseObject, rowsOf, textOf, unitsOf } from './system.ts';
import type { Files, ImageView } from './view.ts';

export interface Identity {
  /** That which the first boot will set, else that of the root file system. */
  hostname?: string;
  /** Accounts for people on the root file system, and those that files of the boot partition will make. */
  users: { name: string; from: string; password: 'set' | 'locked' | 'unknown' }[];
  /** cloud-init's, and which file says it. */
  instanceId?: { value: string; from: string };
  /** What starts sshd, or undefined. */
  ssh?: string;
  wifi: { name: string; from: string }[];
  /** Files of private keys that every card of this image would share. */
  hostKeys: string[];
  machineId: MachineId;
}

/** machine-id(5): `uninitialized` makes the next boot the first one, as does no file; an empty one does not. */
export type MachineId = 'uninitialized' | 'empty' | 'missing' | 'set';

/** Ids of people's accounts: Debian's adduser.conf, FIRST_UID and LAST_UID. */
const [FIRST_UID, LAST_UID] = [1000, 59_999];
const CONNECTIONS = 'etc/NetworkManager/system-connections';

export async function identityOf(view: ImageView): Promise<Identity> {
  const { boot, root } = view;
  const script = await promisedByScript(view);
  const promised = script?.hostname ?? (await promisedName(boot.files));
  const hostname = promised ?? (await textOf(root.files, 'etc/hostname')).trim();
  const instanceId = await instanceIdOf(view);
  const ssh = (await sshOf(view)) ?? (script?.ssh === true ? 'firstrun.sh' : undefined);
  const hostKeys = (await root.files.list('etc/ssh')).filter((name) => /^ssh_host_\w+_key$/.test(name));
  const promisedKeys = asObject(parseObject(await textOf(boot.files, 'user-data'))?.['ssh_keys']) ?? {};
  return {
    ...(hostname !== '' && { hostname }),
    users: [
      ...(await accounts(root.files)),
      ...(await promisedUsers(boot.files)),
      ...(script?.users ?? []).map((name) => ({ name, from: 'firstrun.sh', password: 'unknown' as const })),
    ],
    ...(instanceId && { instanceId }),
    ...(ssh !== undefined && { ssh }),
    wifi: [...(await wifiOf(view)), ...(script?.wifi ?? []).map((name) => ({ name, from: 'firstrun.sh' }))],
    hostKeys: [
      ...hostKeys.map((name) => `/etc/ssh/${name}`),
      ...(Object.keys(promisedKeys).length > 0 ? ['user-data'] : []),
      ...(script?.hostKeys === true ? ['firstrun.sh'] : []),
    ],
    machineId: await machineIdOf(root.files),
  };
}

export async function machineIdOf(files: Files): Promise<MachineId> {
  const content = await files.read('etc/machine-id');
  if (content === undefined) return 'missing';
  const text = content.toString().trim();
  return text === '' ? 'empty' : text === 'uninitialized' ? 'uninitialized' : 'set';
}

async function accounts(files: Files): Promise<Identity['users']> {
  const shadow = new Map((await rowsOf(files, 'etc/shadow')).map(([name = '', hash = '']) => [name, hash]));
  return (await rowsOf(files, 'etc/passwd'))
    .filter(([, , uid]) => Number(uid) >= FIRST_UID && Number(uid) <= LAST_UID)
    .map(([name = '']) => {
      const hash = shadow.get(name);
      const password = hash === undefined ? 'unknown' : /^[!*]/.test(hash) ? 'locked' : 'set';
      return { name, from: '/etc/passwd', password };
    });
}

/** What files of the boot partition will name it: cloud-init's, then those of Raspberry Pi OS's own formats. */
async function promisedName(files: Files): Promise<string | undefined> {
  const userData = parseObject(await textOf(files, 'user-data'));
  const metaData = parseObject(await textOf(files, 'meta-data'));
  const toml = await Promise.all(
    ['custom.toml', 'rpi-preseed.toml'].map(async (name) =>
      tomlString(await textOf(files, name), 'system', 'hostname'),
    ),
  );
  const names = [userData?.['hostname'], userData?.['fqdn'], metaData?.['local-hostname'], ...toml];
  return names.find((name): name is string => typeof name === 'string' && name !== '');
}

/** Names that user-data, userconf.txt, custom.toml and rpi-preseed.toml give. */
async function promisedUsers(files: Files): Promise<Identity['users']> {
  const found: Identity['users'] = [];
  const add = (name: unknown, from: string): void => {
    if (typeof name === 'string' && name !== '') found.push({ name, from, password: 'unknown' });
  };
  const userData = parseObject(await textOf(files, 'user-data'));
  const users: unknown[] = Array.isArray(userData?.['users']) ? userData['users'] : [];
  for (const user of [...users, userData?.['user']]) add(asObject(user)?.['name'], 'user-data');
  for (const name of ['userconf', 'userconf.txt']) {
    const [user] = (await textOf(files, name)).split(':');
    add(user?.trim(), name);
  }
  for (const name of ['custom.toml', 'rpi-preseed.toml'])
    add(tomlString(await textOf(files, name), 'user', 'name'), name);
  return found;
}

/** Users whom files of a first boot without cloud-init let in by key. */
export async function promisedLogins(view: ImageView): Promise<string[]> {
  const script = await promisedByScript(view);
  const found = [...(script?.keyed ?? [])];
  for (const name of ['custom.toml', 'rpi-preseed.toml']) {
    const text = await textOf(view.boot.files, name);
    const user = /^\s*authorized_keys\s*=\s*\[\s*["']/m.test(text) ? tomlString(text, 'user', 'name') : undefined;
    if (user !== undefined) found.push(user);
  }
  return found;
}

/** A string of one table; enough of TOML for names, and nothing that has to be right for more than showing. */
export function tomlString(text: string, table: string, key: string): string | undefined {
  let here = '';
  for (const line of text.split('\n')) {
    here = /^\s*\[([\w.-]+)\]/.exec(line)?.[1] ?? here;
    const [, name, value] = /^\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'[^']*')/.exec(line) ?? [];
    if (here === table && name === key) return value === undefined ? /'([^']*)'/.exec(line)?.[1] : unescaped(value);
  }
  return undefined;
}

/** Escapes of TOML's basic strings are JSON's, but for `\\U` and, in 1.1, `\\e` and `\\x`: those stay. */
function unescaped(value: string): string {
  try {
    return JSON.parse(`"${value}"`) as string;
  } catch {
    return value;
  }
}

/** NoCloud's `instance-id`; pi-gen's template has `instance_id`, which cloud-init does not know. */
async function instanceIdOf(view: ImageView): Promise<Identity['instanceId']> {
  const word = (await commandLine(view)).find((text) => text.startsWith('ds=nocloud'));
  const given = word
    ?.split(';')
    .find((part) => part.startsWith('i='))
    ?.slice(2);
  if (given !== undefined) return { value: given, from: 'cmdline.txt' };
  const meta = parseObject(await textOf(view.boot.files, 'meta-data'));
  for (const key of ['instance-id', 'instance_id']) {
    const value = meta?.[key];
    if (typeof value === 'string') return { value, from: `meta-data, ${key}` };
  }
  return undefined;
}

async function sshOf(view: ImageView): Promise<string | undefined> {
  const units = await unitsOf(view);
  for (const unit of ['ssh.service', 'ssh.socket', 'sshd.service']) {
    const link = units.enabled(unit);
    if (link !== undefined && (await units.masked(unit)) === undefined) return link;
  }
  for (const name of ['ssh', 'ssh.txt']) if (await onBoot(view, name)) return `${name} on the boot partition`;
  for (const name of ['custom.toml', 'rpi-preseed.toml'])
    if (/^\s*\[ssh\][^[]*^\s*enabled\s*=\s*true/m.test(await textOf(view.boot.files, name))) return name;
  const commands = parseObject(await textOf(view.boot.files, 'user-data'))?.['runcmd'];
  const starts = (command: unknown): boolean =>
    /\bsystemctl .*enable\b.*\bsshd?\b/.test(Array.isArray(command) ? command.join(' ') : String(command));
  return Array.isArray(commands) && commands.some(starts) ? 'user-data, runcmd' : undefined;
}

async function wifiOf({ boot, root }: ImageView): Promise<Identity['wifi']> {
  const found: Identity['wifi'] = [];
  const network = parseObject(await textOf(boot.files, 'network-config'));
  const config = asObject(network?.['network']) ?? network;
  for (const card of Object.values(asObject(config?.['wifis']) ?? {}))
    for (const name of Object.keys(asObject(asObject(card)?.['access-points']) ?? {}))
      found.push({ name, from: 'network-config' });
  for (const file of ['custom.toml', 'rpi-preseed.toml']) {
    const text = await textOf(boot.files, file);
    const hex = tomlString(text, 'wlan', 'ssid_hex');
    const name = hex === undefined ? tomlString(text, 'wlan', 'ssid') : shownOctets(Buffer.from(hex, 'hex'));
    if (name !== undefined) found.push({ name, from: file });
  }
  const supplicants: [Files, string, string][] = [
    [boot.files, 'wpa_supplicant.conf', 'wpa_supplicant.conf'],
    [root.files, 'etc/wpa_supplicant/wpa_supplicant.conf', '/etc/wpa_supplicant/wpa_supplicant.conf'],
  ];
  for (const [files, path, from] of supplicants)
    for (const name of namesOfWifi(await textOf(files, path))) found.push({ name, from });
  for (const file of await root.files.list(CONNECTIONS)) {
    for (const name of namesOfWifi(await textOf(root.files, `${CONNECTIONS}/${file}`)))
      found.push({ name, from: `/${CONNECTIONS}/${file}` });
  }
  return found;
}
