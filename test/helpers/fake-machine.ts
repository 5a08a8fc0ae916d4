// A machine on a wire as QEMU's `-netdev stream` has it, whose network stack does what a test says.
import { createServer, type Socket } from 'node:net';
import { readFrames, routeTo } from '../../src/boot/checks/outside/endpoint.ts';
import {
  arp,
  echo,
  FLAG,
  type Host,
  ICMP4,
  ICMP6,
  icmpMessage,
  isIpv6,
  NEIGHBOUR,
  neighbour,
  parsePacket,
  tcp,
  udp,
} from '../../src/boot/checks/outside/packets.ts';

export type Port = 'open' | 'refuse' | 'reject' | 'drop';

export const MAC = '52:54:00:12:34:57';
export const IP4 = '198.51.100.1';
export const IP6 = 'fe80:0:0:0:5054:ff:fe12:3457';

/** Asks who has an address, as kernels do before they answer for the first time. */
function whoHas(from: Host, { ip }: Host): Buffer {
  if (!isIpv6(ip)) return arp(1, from, { mac: 'ff:ff:ff:ff:ff:ff', ip });
  // The group of all nodes that might have it (RFC 4291, section 2.7.1): all have the address's last 24 bits.
  return neighbour(NEIGHBOUR.asks, from, { mac: '33:33:ff:00:70:69', ip: 'ff02:0:0:0:0:1:ff00:7069' }, ip);
}

/** The error about the packet in `frame`: port unreachable. */
function unreachable(from: Host, to: Host, frame: Buffer): Buffer {
  const [type, code] = (isIpv6(to.ip) ? ICMP6 : ICMP4).unreachable;
  const quoted = frame.subarray(14, 14 + (isIpv6(to.ip) ? 40 : 20) + 8);
  return icmpMessage(from, to, Buffer.concat([Buffer.from([type, code, 0, 0, 0, 0, 0, 0]), quoted]));
}

/** What it does with what arrives at a port of each family; UDP ports swallow what they drop. */
export interface Behaviour {
  ipv4: Port;
  ipv6: Port;
  /** Whether it answers pings. */
  ping: boolean;
  onUdp?: () => void;
}

export async function withFakeMachine<T>(file: string, does: Behaviour, work: () => Promise<T>): Promise<T> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    const send = (frame: Buffer): void => {
      const bytes = Buffer.alloc(4 + frame.length);
      bytes.writeUInt32BE(frame.length);
      frame.copy(bytes, 4);
      // In two parts, as a stream may deliver it.
      socket.write(bytes.subarray(0, 3));
      socket.write(bytes.subarray(3));
    };
    const known = new Set<string>();
    const held: Buffer[] = [];
    readFrames(socket, (frame) => {
      const packet = parsePacket(frame);
      if (packet?.protocol === 'neighbour') {
        known.add(packet.sender.ip);
        for (const waiting of held.splice(0)) send(waiting);
      }
      if (packet === undefined || packet.protocol === 'neighbour') return;
      const six = isIpv6(packet.from);
      const { machine, other } = routeTo({ mac: MAC }, six ? IP6 : IP4);
      const answer = (reply: Buffer): void => {
        if (known.has(other.ip)) return send(reply);
        held.push(reply);
        send(whoHas(machine, other));
      };
      if (packet.protocol === 'icmp') {
        if (packet.type === 'echo' && does.ping) answer(echo(machine, other, packet.id, 'reply'));
        return;
      }
      const port = six ? does.ipv6 : does.ipv4;
      const pair = { source: packet.destination, destination: packet.source };
      if (packet.protocol === 'udp') {
        does.onUdp?.();
        if (port === 'open') answer(udp(machine, other, pair, Buffer.from('x')));
        if (port === 'refuse' || port === 'reject') answer(unreachable(machine, other, frame));
      } else if (port === 'reject') {
        answer(unreachable(machine, other, frame));
      } else if (port !== 'drop' && (packet.flags & FLAG.syn) !== 0) {
        const flags = port === 'open' ? FLAG.syn | FLAG.ack : FLAG.rst | FLAG.ack;
        answer(tcp(machine, other, pair, 1, flags, packet.sequence + 1));
      }
    });
  }).listen(file);
  await new Promise((done) => server.once('listening', done));
  try {
    return await work();
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}
