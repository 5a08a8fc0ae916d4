// The seed of a machine that somebody is to log in to by key: what a boot test puts on its throw-away card.
import { padSlot, type SlotName } from './minimal.ts';

export interface LoginSeed {
  /** Of its own, so that cloud-init takes the machine for a new one. */
  instanceId: string;
  hostname: string;
  user: string;
  /** Lines for authorized_keys. */
  keys: string[];
  /** Addresses in CIDR notation of network cards that are not to ask for one, by their MAC address. */
  fixed?: { mac: string; addresses: string[] }[];
}

/**
 * Bytes for three of the image's slots, padded to their length: a user with sudo and these keys, no password; all wired
 * networks by DHCP but the fixed ones. `piimg.json` stays as the image has it. Throws PiimgError when a slot is too short.
 */
export function loginSeed<Slot extends { name: SlotName; length: number }>(
  slots: Slot[],
  seed: LoginSeed,
): { slot: Slot; content: Buffer }[] {
  const texts = { 'user-data': userData(seed), 'meta-data': metaData(seed), 'network-config': networkConfig(seed) };
  return slots.flatMap((slot) => {
    if (slot.name === 'piimg.json') return [];
    return [{ slot, content: padSlot(texts[slot.name], slot.length, slot.name) }];
  });
}

// JSON is YAML: nothing has to be quoted by hand.
const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;

function userData({ hostname, user, keys }: LoginSeed): string {
  const login = { name: user, shell: '/bin/bash', sudo: 'ALL=(ALL) NOPASSWD:ALL', ssh_authorized_keys: keys };
  return `#cloud-config\n${json({ hostname, users: [login] })}`;
}

const metaData = ({ instanceId }: LoginSeed): string => json({ 'instance-id': instanceId });

function networkConfig({ fixed = [] }: LoginSeed): string {
  // A card that two sections match takes the one whose name comes first.
  const sections = fixed.map(({ mac, addresses }, index) => [
    `fixed${index}`,
    { match: { macaddress: mac }, addresses, optional: true },
  ]);
  const wired = { match: { name: 'e*' }, dhcp4: true, dhcp6: true, optional: true };
  return json({ version: 2, ethernets: { ...Object.fromEntries(sections), wired } });
}
