// What a card carries, for people to read: only what is known to be no secret is taken over, so that nothing can slip through.
import { parse } from 'yaml';
import { isIP } from 'node:net';
import { fingerprint, keyParts } from '../lib/ssh-key.ts';
import { plainLine } from '../lib/plain-text.ts';
import type { NodeSlot } from './node-slots.ts';
import { unescapeSsid } from './wifi.ts';

export interface SeedDescription {
  /** Name, users and network are told to the own first boot of its base: they are not described here. */
  firstBoot?: 'own';
  /** The host name that cloud-init sets. */
  node?: string;
  instanceId?: string;
  users: { name: string; keys: { type: string; comment: string }[]; sudo: boolean; password: boolean }[];
  network: {
    cards: { name: string; addresses: string[]; gateway?: string; dns: string[]; dhcp: string[] }[];
    wifi: Wifi[];
  };
  locale?: string;
  timezone?: string;
  hostKeys: { type: string; fingerprint: string }[];
  variables: Record<string, string | number | boolean>;
  peers: Record<string, string[]>;
  /** Their names, and whether the machine has taken the value away. */
  secrets: Record<string, 'set' | 'kept by the machine'>;
  report?: string;
  /** Further keys of user-data, by name. */
  others: string[];
  /** What could not be read. */
  problems: string[];
}

interface Wifi {
  ssid: string;
  country?: string;
  open: boolean;
}

type Map = Record<string, unknown>;

/** Reads documents that anybody may have edited: what is not as expected is left out or told, without its text. */
export function describeSeed(texts: Partial<Record<NodeSlot, string>>): SeedDescription {
  const problems: string[] = [];
  const read = (name: NodeSlot): Map => readMap(name, texts[name], problems);
  const [user, meta, network, document] = [
    read('user-data'),
    read('meta-data'),
    read('network-config'),
    read('piimg.json'),
  ];
  const config = asMap(network.network ?? network);
  const node = wordOf(user.hostname) ?? wordOf(user.fqdn) ?? wordOf(meta['local-hostname']) ?? wordOf(document.node);
  return {
    ...optional('node', node),
    ...optional('instanceId', wordOf(meta['instance-id'])),
    users: listOf(user.users)
      .map(describeUser)
      .filter((one) => one.name !== ''),
    network: {
      cards: Object.entries(asMap(config.ethernets)).map(([name, card]) => describeCard(name, asMap(card))),
      wifi: Object.values(asMap(config.wifis)).flatMap((card) => describeWifi(asMap(card))),
    },
    ...optional('locale', wordOf(user.locale)),
    ...optional('timezone', wordOf(user.timezone)),
    hostKeys: hostKeysIn(asMap(user.ssh_keys)),
    variables: variablesIn(asMap(document.variables)),
    peers: Object.fromEntries(
      Object.entries(asMap(document.peers)).map(([role, nodes]) => [plainLine(role), peersIn(nodes)]),
    ),
    secrets: secretsIn(asMap(document.secrets)),
    ...optional('report', withoutLogin(wordOf(document.report))),
    others: Object.keys(user)
      .filter((key) => !KNOWN.has(key))
      .map(plainLine),
    problems,
  };
}

/** Keys of user-data that are told by what they hold. */
const KNOWN = new Set(['hostname', 'fqdn', 'users', 'locale', 'timezone', 'ssh_keys']);

/** The parser's own words may quote the text: the line has to do. */
function readMap(name: NodeSlot, text: string | undefined, problems: string[]): Map {
  const broken = (what: string): Map => {
    problems.push(`${name} ${what}`);
    return {};
  };
  if (text === undefined) return broken('is not there');
  if (name === 'user-data' && !/^#cloud-config\s*$/m.test(text.split('\n', 1)[0] ?? '')) {
    return broken('is no cloud-config: its first line is not #cloud-config');
  }
  try {
    const value: unknown = parse(text, { logLevel: 'error', maxAliasCount: 100 });
    if (value === null) return {};
    return typeof value === 'object' && !Array.isArray(value) ? (value as Map) : broken('is no map');
  } catch (error) {
    const line = (error as { linePos?: { line: number }[] }).linePos?.[0]?.line;
    return broken(`is no YAML${line === undefined ? '' : ` (line ${line})`}`);
  }
}

function describeUser(user: unknown): SeedDescription['users'][number] {
  if (typeof user === 'string') return { name: plainLine(user), keys: [], sudo: false, password: false };
  const {
    name,
    ssh_authorized_keys: keys,
    sudo,
    passwd,
    hashed_passwd: hashed,
    plain_text_passwd: plain,
  } = asMap(user);
  return {
    name: wordOf(name) ?? '',
    keys: listOf(keys).flatMap((key) => (typeof key === 'string' ? describeKey(key) : [])),
    sudo: sudo !== undefined && sudo !== null && sudo !== false,
    password: [passwd, hashed, plain].some((value) => value !== undefined && value !== null),
  };
}

/** A line with options before the key has its type further on: what is no key type is not shown. */
function describeKey(line: string): { type: string; comment: string }[] {
  const { type, comment } = keyParts(line);
  return /^(sk-)?(ssh|ecdsa)-[a-z0-9@.-]+$/.test(type)
    ? [{ type, comment: plainLine(comment) }]
    : [{ type: 'another kind of line', comment: '' }];
}

function describeCard(name: string, card: Map): SeedDescription['network']['cards'][number] {
  const routes = listOf(card.routes).map(asMap);
  const gateway = routes.find(({ to }) => ['default', '0.0.0.0/0', '::/0'].includes(String(to)))?.via ?? card.gateway4;
  return {
    name: plainLine(name),
    addresses: listOf(card.addresses).flatMap((one) => wordOf(one) ?? []),
    ...optional('gateway', wordOf(gateway)),
    dns: listOf(asMap(card.nameservers).addresses).flatMap((one) => wordOf(one) ?? []),
    dhcp: ['IPv4', 'IPv6'].filter((_, index) => [true, 'yes'].includes([card.dhcp4, card.dhcp6][index] as boolean)),
  };
}

function describeWifi(card: Map): Wifi[] {
  return Object.entries(asMap(card['access-points'])).map(([ssid, point]) => ({
    ssid: plainLine(unescapeSsid(ssid)),
    ...optional('country', wordOf(card['regulatory-domain'])),
    open: isOpen(asMap(point)),
  }));
}

/** As piimg writes it, with `key-management: none`, or as people do. */
const isOpen = ({ password, auth }: Map): boolean =>
  password === undefined && (auth === undefined || asMap(auth)['key-management'] === 'none');

function hostKeysIn(keys: Map): SeedDescription['hostKeys'] {
  return Object.values(keys).flatMap((line) => {
    const { type } = keyParts(typeof line === 'string' ? line : '');
    return /^(ssh|ecdsa)-[a-z0-9-]+$/.test(type) ? [{ type, fingerprint: fingerprint(String(line)) }] : [];
  });
}

/** Somebody may have put a secret there after all. */
const SOUNDS_SECRET = /pass|secret|token|key|credential/i;

function variablesIn(variables: Map): SeedDescription['variables'] {
  const shown: SeedDescription['variables'] = {};
  for (const [name, value] of Object.entries(variables)) {
    if (SOUNDS_SECRET.test(name)) shown[plainLine(name)] = '(set)';
    else if (typeof value === 'string') shown[plainLine(name)] = plainLine(value);
    else if (typeof value === 'number' || typeof value === 'boolean') shown[plainLine(name)] = value;
  }
  return shown;
}

function secretsIn(secrets: Map): SeedDescription['secrets'] {
  return Object.fromEntries(
    Object.entries(secrets).map(([name, value]) => [plainLine(name), value === null ? 'kept by the machine' : 'set']),
  );
}

const peersIn = (nodes: unknown): string[] =>
  listOf(nodes).flatMap((peer) => {
    const { name, addresses } = asMap(peer);
    const shown = listOf(addresses).filter((one) => typeof one === 'string' && isIP(one) !== 0);
    return [`${wordOf(name) ?? '?'} (${shown.join(', ')})`];
  });

/** A URL may hold a password. */
const withoutLogin = (url: string | undefined) => url?.replace(/\/\/[^/@]*@/, '//').replace(/\?.*$/s, '?…');

const optional = <K extends string>(key: K, value: string | undefined): { [key in K]?: string } =>
  (value === undefined ? {} : { [key]: value }) as { [key in K]?: string };
const asMap = (value: unknown): Map =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Map) : {};
const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const wordOf = (value: unknown): string | undefined =>
  typeof value === 'string' || typeof value === 'number' ? plainLine(String(value)) : undefined;
