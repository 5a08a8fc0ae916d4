// Ethernet frames of the few protocols that tell whether a port is open: who has an address, echo, TCP's first exchange, UDP.

export interface Host {
  /** `02:00:00:00:00:01` */
  mac: string;
  /** IPv4, or IPv6 as eight groups: `fe80:0:0:0:0:0:0:1`. */
  ip: string;
}

/** `quoted`: the packet that an error is about. */
export type Packet =
  | { protocol: 'neighbour'; asks: boolean; sender: Host; targetIp: string }
  | { protocol: 'icmp'; from: string; type: Icmp; id: number; quoted?: Quoted }
  | ({ protocol: 'tcp'; from: string; sequence: number; flags: number } & Ports)
  | ({ protocol: 'udp'; from: string } & Ports);

export interface Ports {
  source: number;
  destination: number;
}
type Quoted = { protocol: number } & Ports;

export const FLAG = { syn: 0x02, rst: 0x04, ack: 0x10 } as const;
/** IP protocol numbers. */
export const IP = { icmp: 1, tcp: 6, udp: 17, icmp6: 58 } as const;

export type Icmp = 'echo' | 'reply' | 'unreachable';
/** Types and codes of ICMP (RFC 792) and ICMPv6 (RFC 4443); what is unreachable is a port. */
export const ICMP4: Record<Icmp, [type: number, code: number]> = { echo: [8, 0], reply: [0, 0], unreachable: [3, 3] };
export const ICMP6: Record<Icmp, [type: number, code: number]> = {
  echo: [128, 0],
  reply: [129, 0],
  unreachable: [1, 4],
};
/** Neighbour discovery (RFC 4861). */
export const NEIGHBOUR = { asks: 135, answers: 136 } as const;

const ETHERNET = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;
/** Without the checksum that the wire adds (IEEE 802.3: 64 with it). */
const SHORTEST = 60;
/** Bytes of the shortest packets that are read: ARP, and IPv4 with eight bytes. A machine need not fill up its frames. */
const LEAST = 42;
/** Lengths of the headers of Ethernet, IPv4 and IPv6. */
const HEADER = { ethernet: 14, ipv4: 20, ipv6: 40 } as const;

export const isIpv6 = (ip: string): boolean => ip.includes(':');

const macBytes = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');
const macText = (bytes: Buffer): string => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
const u16 = (...values: number[]): Buffer =>
  Buffer.from(values.flatMap((value) => [(value >> 8) & 0xff, value & 0xff]));
const groups = (ip: string): number[] => ip.split(':').map((group) => Number.parseInt(group, 16));
const ipBytes = (ip: string): Buffer => (isIpv6(ip) ? u16(...groups(ip)) : Buffer.from(ip.split('.').map(Number)));
const ipText = (bytes: Buffer): string =>
  bytes.length === 4
    ? bytes.join('.')
    : Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(':');

function ethernet(from: string, to: string, type: number, payload: Uint8Array): Buffer {
  const frame = Buffer.concat([macBytes(to), macBytes(from), u16(type), payload]);
  return Buffer.concat([frame, Buffer.alloc(Math.max(0, SHORTEST - frame.length))]);
}

/** The Internet checksum (RFC 1071). */
export function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** `bytes` with the checksum of `prefix` and themselves written at `at`, where they are zero. */
function summed(bytes: Buffer, at: number, prefix: Uint8Array = new Uint8Array()): Buffer {
  bytes.writeUInt16BE(checksum(Buffer.concat([prefix, bytes])), at);
  return bytes;
}

/** What checksums cover besides the payload: of IPv6's (RFC 8200, section 8.1) the same sum as of IPv4's (RFC 9293, 3.1). */
const pseudoHeader = (from: Host, to: Host, protocol: number, length: number): Buffer =>
  Buffer.concat([ipBytes(from.ip), ipBytes(to.ip), u16(protocol, length)]);

/** With 255 hops, as neighbour discovery wants them. */
function packet(from: Host, to: Host, protocol: number, payload: Buffer): Buffer {
  const addresses = [ipBytes(from.ip), ipBytes(to.ip)];
  if (isIpv6(to.ip)) {
    const head = [u16(0x6000, 0, payload.length, (protocol << 8) | 255), ...addresses];
    return ethernet(from.mac, to.mac, ETHERNET.ipv6, Buffer.concat([...head, payload]));
  }
  // Version 4, header of 5 words; id 0, "don't fragment".
  const head = [u16(0x4500, HEADER.ipv4 + payload.length, 0, 0x4000, (255 << 8) | protocol, 0), ...addresses];
  return ethernet(from.mac, to.mac, ETHERNET.ipv4, Buffer.concat([summed(Buffer.concat(head), 10), payload]));
}

export function icmpMessage(from: Host, to: Host, message: Buffer): Buffer {
  if (!isIpv6(to.ip)) return packet(from, to, IP.icmp, summed(message, 2));
  return packet(from, to, IP.icmp6, summed(message, 2, pseudoHeader(from, to, IP.icmp6, message.length)));
}

/** Answers `to` that `from` has its address. */
export function iHave(from: Host, to: Host): Buffer {
  return isIpv6(from.ip) ? neighbour(NEIGHBOUR.answers, from, to, from.ip) : arp(2, from, to);
}

/** `operation`: 1 asks who has the address of `to`, 2 tells it. */
export function arp(operation: 1 | 2, from: Host, to: Host): Buffer {
  // Ethernet (1), IPv4, address lengths 6 and 4.
  const head = Buffer.concat([u16(1, ETHERNET.ipv4), Buffer.from([6, 4]), u16(operation)]);
  const pairs = [macBytes(from.mac), ipBytes(from.ip), macBytes(to.mac), ipBytes(to.ip)];
  return ethernet(from.mac, to.mac, ETHERNET.arp, Buffer.concat([head, ...pairs]));
}

/** Asks `to` for the address of `target`, or tells it. */
export function neighbour(type: number, from: Host, to: Host, target: string): Buffer {
  // An answer is solicited and overrides (bits 30 and 29); the option is the sender's address: type 1 or 2, 8 bytes long.
  const [flags, option] = type === NEIGHBOUR.asks ? [0, 1] : [0x6000, 2];
  const head = u16(type << 8, 0, flags, 0);
  return icmpMessage(from, to, Buffer.concat([head, ipBytes(target), Buffer.from([option, 1]), macBytes(from.mac)]));
}

export function echo(from: Host, to: Host, id: number, says: 'echo' | 'reply' = 'echo'): Buffer {
  const [type] = (isIpv6(to.ip) ? ICMP6 : ICMP4)[says];
  return icmpMessage(from, to, u16(type << 8, 0, id, 1));
}

export function tcp(from: Host, to: Host, ports: Ports, sequence: number, flags: number, acknowledged = 0): Buffer {
  const numbers = Buffer.alloc(8);
  numbers.writeUInt32BE(sequence, 0);
  numbers.writeUInt32BE(acknowledged, 4);
  // Five words of header, a window of 64 KiB.
  const segment = Buffer.concat([u16(ports.source, ports.destination), numbers, u16((5 << 12) | flags, 0xffff, 0, 0)]);
  return packet(from, to, IP.tcp, summed(segment, 16, pseudoHeader(from, to, IP.tcp, segment.length)));
}

export function udp(from: Host, to: Host, ports: Ports, content: Buffer): Buffer {
  const length = 8 + content.length;
  const datagram = Buffer.concat([u16(ports.source, ports.destination, length, 0), content]);
  return packet(from, to, IP.udp, summed(datagram, 6, pseudoHeader(from, to, IP.udp, length)));
}

/** Undefined for every other protocol. Checksums are not looked at: the wire is a pipe. */
export function parsePacket(frame: Buffer): Packet | undefined {
  if (frame.length < LEAST) return undefined;
  const [type, payload] = [frame.readUInt16BE(12), frame.subarray(HEADER.ethernet)];
  if (type === ETHERNET.ipv4) return parseIp(payload, macText(frame.subarray(6, 12)), false);
  if (type === ETHERNET.ipv6) return parseIp(payload, macText(frame.subarray(6, 12)), true);
  if (type !== ETHERNET.arp) return undefined;
  const sender = { mac: macText(payload.subarray(8, 14)), ip: ipText(payload.subarray(14, 18)) };
  const asks = payload.readUInt16BE(6) === 1;
  return { protocol: 'neighbour', asks, sender, targetIp: ipText(payload.subarray(24, 28)) };
}

function parseIp(bytes: Buffer, mac: string, six: boolean): Packet | undefined {
  const { protocol, payload } = splitIp(bytes, six);
  const from = ipText(six ? bytes.subarray(8, 24) : bytes.subarray(12, 16));
  if (payload.length < 8) return undefined;
  if (protocol === IP.udp) return { protocol: 'udp', from, ...portsOf(payload) };
  if (protocol === IP.tcp && payload.length >= 20) {
    return { protocol: 'tcp', from, ...portsOf(payload), sequence: payload.readUInt32BE(4), flags: payload[13] ?? 0 };
  }
  if (protocol !== (six ? IP.icmp6 : IP.icmp)) return undefined;
  if (six && (payload[0] === NEIGHBOUR.asks || payload[0] === NEIGHBOUR.answers) && payload.length >= 24) {
    const asks = payload[0] === NEIGHBOUR.asks;
    return { protocol: 'neighbour', asks, sender: { mac, ip: from }, targetIp: ipText(payload.subarray(8, 24)) };
  }
  const known = Object.entries(six ? ICMP6 : ICMP4).find(([, [type]]) => type === payload[0]);
  if (known === undefined) return undefined;
  const type = known[0] as Icmp;
  const quoted = type === 'unreachable' ? quotedIn(payload.subarray(8), six) : undefined;
  return { protocol: 'icmp', from, type, id: payload.readUInt16BE(4), ...(quoted && { quoted }) };
}

function quotedIn(bytes: Buffer, six: boolean): Quoted | undefined {
  const { protocol, payload } = splitIp(bytes, six);
  return payload.length < 4 ? undefined : { protocol, ...portsOf(payload) };
}

const portsOf = (payload: Buffer): Ports => ({
  source: payload.readUInt16BE(0),
  destination: payload.readUInt16BE(2),
});

function splitIp(bytes: Buffer, six: boolean): { protocol: number; payload: Buffer } {
  if (six) return { protocol: bytes[6] ?? 0, payload: bytes.subarray(HEADER.ipv6) };
  return { protocol: bytes[9] ?? 0, payload: bytes.subarray(((bytes[0] ?? 0) & 0x0f) * 4) };
}
