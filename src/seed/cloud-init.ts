// What cloud-init reads from a card: user-data, meta-data and network-config of a machine, as texts.
import { isIPv6 } from 'node:net';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { HostKey } from './host-keys.ts';
import { splitCidr, type Network, type Ssid, type Wifi } from './network.ts';
import type { User } from './node.ts';
import { becomesRoot, commandsFor, RADIO_ON } from './run-commands.ts';
import { byteList, escapeSsid, looksLikeBytes, wifiKey } from './wifi.ts';

export interface CloudInit {
  /** Of its own for each card that is written, so that cloud-init takes the machine for a new one. */
  instanceId: string;
  hostname: string;
  users: (Pick<User, 'name' | 'keys'> & Partial<User>)[];
  network: Network;
  locale?: string | undefined;
  timezone?: string | undefined;
  hostKeys?: HostKey[];
  /** Network cards with addresses of their own, by their MAC address. */
  fixed?: { mac: string; addresses: string[] }[];
  /** On piimg's own image: whether that is a Raspberry Pi OS. */
  raspberryPi?: boolean;
}

export type CloudInitTexts = Record<'user-data' | 'meta-data' | 'network-config', string>;

export function cloudInitTexts(machine: CloudInit): CloudInitTexts {
  const { instanceId, hostname } = machine;
  return {
    // cloud-init takes user-data for what its first line says.
    'user-data': `#cloud-config\n${yaml(userData(machine))}`,
    'meta-data': yaml({ 'instance-id': instanceId, 'local-hostname': hostname }),
    'network-config': yaml(networkConfig(machine)),
  };
}

/**
 * JSON is YAML, so nothing has to be quoted by hand; but for characters that YAML does not print (YAML 1.2, section 5.1) and that
 * PyYAML, cloud-init's parser, refuses.
 */
export function yaml(value: unknown): string {
  const text = JSON.stringify(value, undefined, 2);
  return `${text.replaceAll(/[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g, escaped)}\n`;
}

const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Without users the key is left out: the image's own list, an empty one, holds. */
function userData(machine: CloudInit): Record<string, unknown> {
  const { hostname, users, locale, timezone, hostKeys = [], raspberryPi = false, network } = machine;
  // Raspberry Pi's cloud-init would give the name of one of the others to the image's own user.
  const listed = raspberryPi ? users.slice(0, 1) : users;
  const commands = [...(users.length > 0 ? commandsFor(users, raspberryPi) : []), ...(network.wifi ? [RADIO_ON] : [])];
  return {
    hostname,
    ...(users.length > 0 && { users: listed.map((user, index) => login(user, index, raspberryPi)) }),
    ...(locale !== undefined && { locale }),
    ...(timezone !== undefined && { timezone }),
    ...(hostKeys.length > 0 && { ssh_keys: Object.fromEntries(hostKeys.flatMap(keyPair)) }),
    ...(raspberryPi && commands.length > 0 && { runcmd: commands }),
  };
}

/** Without a password logging in takes a key. Somebody has to be able to become root, and it is the first one. */
function login(user: CloudInit['users'][number], index: number, raspberryPi: boolean): object {
  const { name, keys, groups = [], passwordHash } = user;
  return {
    name,
    lock_passwd: passwordHash === undefined,
    // `passwd` is for an account that is not there yet: another seed may come.
    ...(passwordHash !== undefined && { hashed_passwd: passwordHash }),
    shell: '/bin/bash',
    ...(groups.length > 0 && !(raspberryPi && index === 0) && { groups }),
    ...(becomesRoot(user, index) && { sudo: 'ALL=(ALL) NOPASSWD:ALL' }),
    ...(keys.length > 0 && { ssh_authorized_keys: keys }),
  };
}

const keyPair = ({ type, privateKey, publicKey }: HostKey): [string, string][] => [
  [`${type}_private`, privateKey],
  [`${type}_public`, publicKey],
];

/** Raspberry Pi OS, whether built upon or not, has NetworkManager behind netplan; piimg's own images have networkd. Throws PiimgError (usage). */
export function networkConfig({
  network,
  fixed = [],
  raspberryPi = false,
}: Pick<CloudInit, 'network' | 'fixed' | 'raspberryPi'>): Record<string, unknown> {
  // A card that two sections match takes the one whose name comes first.
  const sections = fixed.map(({ mac, addresses }, index) => [
    `fixed${index}`,
    { match: { macaddress: mac }, addresses, optional: true },
  ]);
  return {
    version: 2,
    ethernets: {
      ...Object.fromEntries(sections),
      // Raspberry Pi OS keeps the kernel's eth0, unless its user has said otherwise; systemd calls a card at USB enx….
      wired: { match: { name: 'e*' }, ...wired(network) },
    },
    ...(network.wifi && { wifis: { [WIFI_CARD]: wireless(network.wifi, raspberryPi) } }),
  };
}

/** DHCP for what has no fixed address, IPv4 and IPv6 each. No machine waits at boot for a cable that is not there. */
function wired({ addresses, gateway, dns }: Network): Record<string, unknown> {
  const has = (six: boolean) => addresses.some((text) => isIPv6(splitCidr(text).address) === six);
  return {
    ...(!has(false) && { dhcp4: true }),
    ...(!has(true) && { dhcp6: true }),
    ...(addresses.length > 0 && { addresses }),
    ...(gateway !== undefined && { routes: [{ to: 'default', via: gateway }] }),
    ...(dns.length > 0 && { nameservers: { addresses: dns } }),
    optional: true,
  };
}

/** The kernel's name for a Pi's own radio. netplan takes no `match:` for Wi-Fi on networkd, only names. */
const WIFI_CARD = 'wlan0';

/** For NetworkManager's keyfile. Throws PiimgError (usage) for text that it would take for a list of bytes. */
function plainName(ssid: Ssid): string {
  if (typeof ssid !== 'string') return byteList(ssid);
  if (!looksLikeBytes(ssid)) return ssid;
  throw new PiimgError(
    `The image cannot be told the name of this Wi-Fi, ${ssid}: NetworkManager takes it for a list of bytes`,
    {
      exitCode: EXIT.usage,
      hint: 'Say it in hex digits, `ssid: { hex: … }` in the file of --from. Nothing was written.',
    },
  );
}

function wireless({ ssid, password, country, hidden }: Wifi, raspberryPi: boolean): Record<string, unknown> {
  const open = raspberryPi ? { auth: { 'key-management': 'none' } } : {};
  const point = {
    ...(hidden === true && { hidden }),
    ...(password === undefined ? open : { password: wifiKey(password, ssid) }),
  };
  // To NetworkManager netplan hands names with escapes of its own.
  const name = raspberryPi ? plainName(ssid) : escapeSsid(ssid);
  return {
    dhcp4: true,
    dhcp6: true,
    optional: true,
    'regulatory-domain': country,
    'access-points': { [name]: point },
  };
}
