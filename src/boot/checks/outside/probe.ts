// Knocks at a port from the second network: does the machine open, refuse, or say nothing?
import { randomInt } from 'node:crypto';
import type { Outside, Route } from './endpoint.ts';
import { echo, FLAG, IP, type Packet, type Ports, tcp, udp } from './packets.ts';

export type Knock = 'open' | 'refused' | 'silent';

/** How often to ask: a packet may be lost. */
const TIMES = 3;

/** Ports that no service uses (RFC 6335: dynamic), another one each time: an old answer is none. */
const ports = (destination: number): Ports => ({ source: randomInt(49_152, 65_536), destination });

/** An answer of the service, or an error about what was sent to it. */
const isAbout = (packet: Packet, protocol: 'tcp' | 'udp', { source, destination }: Ports): boolean => {
  if (packet.protocol === protocol) return packet.source === destination && packet.destination === source;
  if (packet.protocol !== 'icmp' || packet.quoted?.protocol !== IP[protocol]) return false;
  return packet.quoted.source === source && packet.quoted.destination === destination;
};

/** Sends `frame` until an answer that `wanted` takes. */
async function ask(outside: Outside, frame: Buffer, wanted: (packet: Packet) => boolean): Promise<Packet | undefined> {
  for (let time = 0; time < TIMES; time++) {
    const answer = outside.next(wanted, outside.wait);
    outside.send(frame);
    const packet = await answer;
    if (packet !== undefined) return packet;
  }
  return undefined;
}

/** Whether the machine answers a ping: the proof that silence at a port is the machine's own. */
export async function answersPing(outside: Outside, { other, machine }: Route): Promise<boolean> {
  const id = randomInt(1, 65_536);
  const isReply = (packet: Packet): boolean =>
    packet.protocol === 'icmp' && packet.type === 'reply' && packet.id === id && packet.from === machine.ip;
  return (await ask(outside, echo(other, machine, id), isReply)) !== undefined;
}

/** A connection that is accepted is reset at once. */
export async function knockTcp(outside: Outside, { other, machine }: Route, port: number): Promise<Knock> {
  const [pair, sequence] = [ports(port), randomInt(2 ** 32)];
  const frame = tcp(other, machine, pair, sequence, FLAG.syn);
  const answer = await ask(outside, frame, (packet) => isAbout(packet, 'tcp', pair));
  if (answer === undefined) return 'silent';
  if (answer.protocol !== 'tcp' || (answer.flags & FLAG.rst) !== 0) return 'refused';
  outside.send(tcp(other, machine, pair, (sequence + 1) % 2 ** 32, FLAG.rst));
  return 'open';
}

/** Sends `count` datagrams. `silent` may also be a service that understood nothing: ask the machine what it received. */
export async function knockUdp(
  outside: Outside,
  { other, machine }: Route,
  port: number,
  count: number,
): Promise<Knock> {
  const pair = ports(port);
  const frame = udp(other, machine, pair, Buffer.from('piimg\n'));
  const answer = outside.next((packet) => isAbout(packet, 'udp', pair), outside.wait * TIMES);
  for (let sent = 0; sent < count; sent++) outside.send(frame);
  const packet = await answer;
  if (packet === undefined) return 'silent';
  return packet.protocol === 'udp' ? 'open' : 'refused';
}
