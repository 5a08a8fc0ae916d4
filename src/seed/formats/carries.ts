// What each first-boot format can carry of a node: the table, and what a node asks for beyond it.
import { isIPv6 } from 'node:net';
import type { InitFormat } from '../../vendor/view.ts';
import { splitCidr, type Ssid } from '../network.ts';
import type { Node, User } from '../node.ts';
import { shownSsid } from '../wifi.ts';
import type { ImageFacts } from './edits.ts';
import { plainSsid } from './network-manager.ts';

/** Formats that something can be written in, piimg's own among them. */
export type WrittenFormat = Exclude<InitFormat, 'none'>;

/** Yes, no, or only where the image's network is run by one of the two, or by either. */
export type Cell = 'yes' | 'no' | 'NetworkManager' | 'dhcpcd' | 'either';

interface Field {
  title: string;
  /** Where it is said, for the complaint. */
  said: string;
  /** Whether a node asks for it. */
  used: (node: Node, facts: ImageFacts) => boolean;
}

const someUser = (test: (user: User) => boolean) => (node: Node) => node.users.some(test);
const isSix = (cidr: string): boolean => isIPv6(splitCidr(cidr).address);

export const FIELDS = {
  node: { title: 'host name', said: '--node', used: ({ node }, { hostname }) => node !== hostname },
  user: { title: 'a user', said: '--user', used: ({ users }) => users.length > 0 },
  name: {
    title: 'a user name with `_` or `$`',
    said: '--user',
    used: someUser(({ name }) => /[^a-z0-9-]|^[^a-z]/.test(name)),
  },
  users: { title: 'several users', said: 'users', used: ({ users }) => users.length > 1 },
  keys: { title: 'ssh keys', said: '--ssh-key', used: someUser(({ keys }) => keys.length > 0) },
  passwordHash: {
    title: 'hash of a password',
    said: 'users.passwordHash',
    used: someUser((user) => user.passwordHash !== undefined),
  },
  noPassword: {
    title: 'a user without password',
    said: '--user',
    used: someUser((user) => user.passwordHash === undefined),
  },
  groups: { title: 'further groups', said: 'users.groups', used: someUser(({ groups }) => groups.length > 0) },
  sudo: {
    title: 'sudo, said either way',
    said: 'users.sudo',
    used: someUser(({ sudo }) => sudo !== undefined),
  },
  address: { title: 'one fixed IPv4 address', said: '--ip', used: ({ network }) => network.addresses.length > 0 },
  addresses: {
    title: 'IPv6, or several addresses',
    said: '--ip',
    used: ({ network: { addresses, dns } }) => addresses.length > 1 || addresses.some(isSix) || dns.some(isIPv6),
  },
  dns: { title: 'name servers', said: '--dns', used: ({ network }) => network.dns.length > 0 },
  dnsAlone: {
    title: 'name servers beside DHCP',
    said: '--dns',
    used: ({ network }) => network.dns.length > 0 && network.addresses.length === 0,
  },
  wifi: { title: 'Wi-Fi, open or hidden too', said: '--wifi', used: ({ network }) => network.wifi !== undefined },
  ssid: {
    title: 'any name of a Wi-Fi',
    said: '--wifi',
    used: ({ network: { wifi } }, facts) => wifi !== undefined && isOdd(wifi.ssid, facts),
  },
  locale: { title: 'locale', said: 'locale', used: ({ locale }) => locale !== undefined },
  timezone: { title: 'time zone', said: 'timezone', used: ({ timezone }) => timezone !== undefined },
  hostKeys: { title: 'ssh host keys', said: '--host-keys', used: ({ hostKeys }) => hostKeys },
  variables: { title: 'variables', said: '--set', used: ({ variables }) => Object.keys(variables).length > 0 },
  peers: { title: 'peers', said: 'peers', used: ({ peers }) => Object.keys(peers).length > 0 },
  secrets: { title: 'secrets', said: '--secret', used: ({ secrets }) => Object.keys(secrets).length > 0 },
  report: { title: 'report of the first boot', said: 'report', used: ({ report }) => report !== undefined },
} satisfies Record<string, Field>;

export type FieldName = keyof typeof FIELDS;

const none = (...fields: FieldName[]): Partial<Record<FieldName, Cell>> =>
  Object.fromEntries(fields.map((field) => [field, 'no'] as const));

/** The agent's, which only images that piimg has built have. */
const AGENT: FieldName[] = ['variables', 'peers', 'secrets', 'report'];

/** What is not `yes`. */
const LIMITS: Record<WrittenFormat, Partial<Record<FieldName, Cell>>> = {
  piimg: {},
  // regenerate_ssh_host_keys.service of Raspberry Pi OS makes others, at a time that cloud-init does not know.
  'cloudinit-rpi': none('hostKeys', ...AGENT),
  // And user-data stays, to be read by everybody where the boot partition is mounted as Raspberry Pi OS does it: no place for private keys.
  cloudinit: none('hostKeys', ...AGENT),
  systemd: {
    address: 'NetworkManager',
    addresses: 'NetworkManager',
    dns: 'NetworkManager',
    wifi: 'either',
    ...none(...AGENT),
  },
  'custom-toml': {
    wifi: 'either',
    ...none('users', 'groups', 'sudo', 'address', 'addresses', 'dns', 'ssid', 'locale', 'hostKeys', ...AGENT),
  },
  'rpi-preseed': { wifi: 'NetworkManager', ...none('users', 'addresses', 'dnsAlone', 'hostKeys', ...AGENT) },
  userconf: {
    ...none('node', 'name', 'users', 'keys', 'noPassword', 'groups', 'sudo', 'address', 'addresses', 'dns'),
    ...none('locale', 'timezone', 'hostKeys', ...AGENT),
    wifi: 'dhcpcd',
  },
};

export const FORMATS = Object.keys(LIMITS) as WrittenFormat[];

export const cellOf = (format: WrittenFormat, field: FieldName): Cell => LIMITS[format][field] ?? 'yes';

/** Whether a cell means yes for an image whose network is run so. */
export const isYes = (cell: Cell, manager: ImageFacts['network']): boolean =>
  cell === 'yes' || (manager !== undefined && (cell === 'either' || cell === manager));

/** Of names of Wi-Fi, what a reader takes for something else than the name. */
function isOdd(ssid: Ssid, { wifiByShell }: ImageFacts): boolean {
  // bullseye's puts it between quotes of a script, of raspi-config and of wpa_cli.
  if (wifiByShell && /["'$`]/.test(shownSsid(ssid))) return true;
  // imager_custom writes it into a keyfile as it is, and takes these words for options of its own; python3-toml 0.10 drops quotes at the beginning that have nothing or another one behind.
  return !plainSsid(ssid) || /^("$|"")/.test(ssid) || ['-h', '--hidden', '-p', '--plain'].includes(ssid);
}

export interface Refusal {
  title: string;
  said: string;
  cell: Cell;
}

/** What the node asks for and the format cannot carry; empty when it can be written. */
export function refusalsOf(format: WrittenFormat, node: Node, facts: ImageFacts): Refusal[] {
  return (Object.keys(FIELDS) as FieldName[]).flatMap((name) => {
    const { title, said, used }: Field = FIELDS[name];
    const cell = cellOf(format, name);
    return isYes(cell, facts.network) || !used(node, facts) ? [] : [{ title, said, cell }];
  });
}
