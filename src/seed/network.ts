// The network of a node: its wired cards by fixed addresses or DHCP, and Wi-Fi beside them.
import { BlockList, isIPv6 } from 'node:net';
import * as z from 'zod';
import { word } from '../lib/yaml/words.ts';
import { address } from './document.ts';

const cidr = z.union([z.cidrv4(), z.cidrv6()], {
  error: "an address with the length of its network's part, like `192.168.254.122/24`",
});

/**
 * IEEE 802.11, section 9.4.2.2: at most 32 octets, of which UTF-8 is only what most networks have. As text, what a terminal, YAML or
 * wpa_supplicant would break at is refused: in hex digits all of it can be said.
 */
const ssid = z
  .union([z.string(), z.strictObject({ hex: z.string() })], {
    error: ({ input }) =>
      input === undefined
        ? 'is missing'
        : 'the name of a Wi-Fi as text, or its bytes in hex digits: `{ hex: 4bfc636865 }`',
  })
  .superRefine((name, context) => {
    const message = objectionTo(name);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });

function objectionTo(name: string | { hex: string }): string | undefined {
  if (typeof name !== 'string')
    return /^([0-9a-fA-F]{2}){1,32}$/.test(name.hex)
      ? undefined
      : 'the name of a Wi-Fi has 1 to 32 bytes, of two hex digits each';
  if (/[\p{Cc}\p{Cs}\ufffd]/u.test(name)) return 'the name of a Wi-Fi has no control characters; in hex digits it may';
  return name !== '' && Buffer.byteLength(name) <= 32 ? undefined : 'the name of a Wi-Fi has 1 to 32 bytes of UTF-8';
}

/** IEEE 802.11, annex J.4: 8 to 63 printable ASCII characters, or the key itself. The message leaves the value out. */
const password = z.string().refine((text) => /^([ -~]{8,63}|[0-9A-Fa-f]{64})$/.test(text), {
  error: 'the password of a Wi-Fi has 8 to 63 printable ASCII characters (or it is the key, 64 hex digits)',
});

/** The country's own code, which that one may be an alias of, as UK is of GB; undefined where it is none. */
function countryOf(code: string): string | undefined {
  const { region } = new Intl.Locale(`und-${code}`);
  // Made when it is needed: that takes longer than all else that is loaded with it.
  const regions = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' });
  return region !== undefined && regions.of(region) !== undefined ? region : undefined;
}

const wifi = z.strictObject({
  ssid: ssid.describe('Its name, case counts; one that is no UTF-8 by its bytes, like `{ hex: 4bfc636865 }`.'),
  password: password.optional().describe('Written to the card as the key made of it; left out: an open network.'),
  country: word(/^[A-Z]{2}$/, 'a country in two capital letters, like `DE`')
    .superRefine((text, context) => {
      const known = countryOf(text);
      if (known === text) return;
      const message = `\`${text}\` is no country that ISO 3166 has a code for`;
      context.addIssue({ code: 'custom', message, params: { suggestion: known } });
    })
    .describe('Where the machine is: radio rules depend on it.'),
  hidden: z.boolean().optional().describe('Whether it does not tell its name: the machine then asks for it.'),
});

export const network = z
  .strictObject({
    addresses: z.array(cidr).default([]).describe('Addresses of the wired card, like 192.168.254.122/24; else DHCP.'),
    gateway: address.optional().describe('Where packets for other networks go, from the wired card.'),
    dns: z.array(address).default([]).describe('Name servers, beside those that DHCP names.'),
    wifi: wifi.optional().describe('A wireless network to join, by DHCP.'),
  })
  .superRefine(({ addresses, gateway }, context) => {
    if (gateway === undefined || reaches(addresses, gateway)) return;
    const message =
      addresses.length === 0
        ? 'a gateway needs a fixed address; DHCP names its own'
        : `the gateway ${gateway} is in none of the networks of ${addresses.join(', ')}`;
    context.addIssue({ code: 'custom', path: ['gateway'], message });
  });

export type Network = z.output<typeof network>;
export type Wifi = z.output<typeof wifi>;
/** Text, or bytes that need not be any. */
export type Ssid = Wifi['ssid'];

/** Address and length of the network's part. */
export function splitCidr(text: string): { address: string; length: number } {
  const [host = '', length = ''] = text.split('/');
  return { address: host, length: Number(length) };
}

/** Link-local gateways (fe80::/10) are in every IPv6 network. */
function reaches(addresses: string[], gateway: string): boolean {
  const family = (text: string) => (isIPv6(text) ? 'ipv6' : 'ipv4');
  const list = new BlockList();
  for (const { address: host, length } of addresses.map(splitCidr)) {
    if (family(host) !== family(gateway)) continue;
    list.addSubnet(host, length, family(host));
    list.addSubnet('fe80::', 10, 'ipv6');
  }
  return list.check(gateway, family(gateway));
}
