// The firewall as a ruleset for nftables: inbound is refused but for what the role allows.
import { isIPv6 } from 'node:net';
import type { AllowRule, Draft } from '../draft.ts';
import { heading, placeOf, type WrittenFile } from './written.ts';

// Without the rules between lo and the role's own a machine loses its network after minutes or days:
// - neighbours and routers of IPv6 are found by ICMPv6, which RFC 4861 lets come from the link only (hop limit 255);
// - multicast listener queries keep those packets coming through snooping switches (RFC 2710: link-local senders);
// - "too big" and the like carry path MTU discovery (RFC 4890, section 4.3.1);
// - DHCPv6 servers answer from their link-local address to port 546, which conntrack does not see as a reply because
//   the request went to a multicast address; the same is true of rebinding in DHCPv4.
// What is dropped is counted, and logged only now and then: a card must not wear out by others' port scans.
const BEFORE = `flush ruleset

table inet piimg {
	chain input {
		type filter hook input priority filter; policy drop;

		iif "lo" accept
		ct state vmap { established : accept, related : accept, invalid : drop }

		icmp type { destination-unreachable, time-exceeded, parameter-problem } accept
		icmp type echo-request limit rate 20/second accept
		icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } accept
		icmpv6 type echo-request limit rate 20/second accept
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } ip6 hoplimit 255 accept
		icmpv6 type mld-listener-query ip6 saddr fe80::/10 accept
		ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept
		udp sport 67 udp dport 68 accept

`;
const AFTER = `
		meta pkttype { broadcast, multicast } counter drop
		limit rate 6/minute burst 10 packets log prefix "piimg drop: " level info
		counter drop
	}

	chain forward {
		type filter hook forward priority filter; policy drop;
	}
}
`;

export function compileFirewall({ firewall, allow }: Draft): WrittenFile[] {
  const place = placeOf(firewall);
  if (place === undefined) return [];
  const rules = [...allow.values()].flatMap(({ value }) => allowLines(value)).sort();
  const content = `#!/usr/sbin/nft -f\n${heading('firewall')}${BEFORE}${rules.join('')}${AFTER}`;
  return [{ path: 'etc/nftables.conf', content, section: 'firewall', place, mode: 0o755 }];
}

/** One line for each network that may connect: in a set, nftables refuses networks that overlap. */
function allowLines({ port, protocol, from, comment }: AllowRule): string[] {
  const note = comment === undefined ? '' : ` comment "${comment}"`;
  const rule = `${protocol} dport ${portSet(port)} accept${note}\n`;
  if (from.length === 0) return [`\t\t${rule}`];
  return from.map((network) => `\t\t${isIPv6(network.split('/')[0] ?? '') ? 'ip6' : 'ip'} saddr ${network} ${rule}`);
}

/** Ports and ranges in rising order; those that overlap are made one, for the same reason. */
function portSet(ports: (number | string)[]): string {
  const ranges: [from: number, to: number][] = [];
  const rising = ports
    .map((port) => String(port).split('-').map(Number))
    .map(([from = 0, to = from]): [number, number] => [from, to])
    .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  for (const [from, to] of rising) {
    const last = ranges.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else ranges.push([from, to]);
  }
  const words = ranges.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`));
  return words.length === 1 ? words.join('') : `{ ${words.join(', ')} }`;
}
