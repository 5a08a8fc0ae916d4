// Another computer on the machine's second network, played in this process: it needs no privilege and no network of the host's.
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { type Host, iHave, isIpv6, type Packet, parsePacket } from './packets.ts';

/** What the seed gives the machine's second card: of a network for documentation (RFC 5737), so that no rule is made for it. */
export const MACHINE_ADDRESS = '198.51.100.1/24';
/** The other computer, its MAC of those anybody may use (the second bit is set); of IPv6 it has its link's address. */
const MAC = '02:70:69:69:6d:67';
const ADDRESSES = ['198.51.100.2', 'fe80:0:0:0:0:0:0:7069'];

export interface Outside {
  /** Address of the machine's card. */
  mac: string;
  /** Whether the card gets its address when it is asked by, as no seed could give it one. */
  givesAddress: boolean;
  /** Seconds to wait for an answer before asking again. */
  wait: number;
  send(frame: Buffer): void;
  /** The next packet from the machine that `wanted` takes; undefined when none came in `seconds`. */
  next(wanted: (packet: Packet) => boolean, seconds: number): Promise<Packet | undefined>;
}

/** Who asks whom, by an address of the machine's. */
export interface Route {
  machine: Host;
  other: Host;
}

/** The route to an address of the machine's card. */
export function routeTo({ mac }: Pick<Outside, 'mac'>, ip: string): Route {
  const own = ADDRESSES.find((address) => isIpv6(address) === isIpv6(ip)) ?? '';
  return { machine: { mac, ip }, other: { mac: MAC, ip: own } };
}

/** An emulated machine is slow. */
const WAIT = 1;

/** Longest frame QEMU sends: 64 KiB and its header. */
const LONGEST = 69_632;

/**
 * Joins the network card `mac` behind QEMU's `-netdev stream,server=on,addr.type=unix,addr.path=FILE`, on which each frame follows
 * its length in four bytes, for the time of `work`. Says who it is when it is asked, so that the machine can answer. QEMU takes one
 * connection at a time.
 */
export async function withOutside<T>(
  {
    file,
    mac,
    givesAddress = false,
    wait = WAIT,
  }: { file: string; mac: string; givesAddress?: boolean; wait?: number },
  work: (outside: Outside) => Promise<T>,
): Promise<T> {
  const socket = createConnection(file);
  await once(socket, 'connect');
  const listeners = new Set<(packet: Packet) => void>();
  const send = (frame: Buffer): void => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(frame.length);
    socket.write(Buffer.concat([length, frame]));
  };
  readFrames(socket, (frame) => {
    const packet = parsePacket(frame);
    if (packet === undefined) return;
    if (packet.protocol === 'neighbour' && packet.asks && ADDRESSES.includes(packet.targetIp)) {
      send(iHave({ mac: MAC, ip: packet.targetIp }, packet.sender));
    }
    for (const listener of listeners) listener(packet);
  });
  const next: Outside['next'] = (wanted, seconds) =>
    new Promise((resolve) => {
      const done = (packet?: Packet): void => {
        listeners.delete(listener);
        clearTimeout(timer);
        resolve(packet);
      };
      const listener = (packet: Packet): void => void (wanted(packet) && done(packet));
      const timer = setTimeout(done, seconds * 1000);
      listeners.add(listener);
    });
  try {
    return await work({ mac, givesAddress, wait, send, next });
  } finally {
    socket.destroy();
  }
}

/** Calls `take` for each frame of a stream; ends the connection where a length cannot be true. */
export function readFrames(socket: Socket, take: (frame: Buffer) => void): void {
  let rest = Buffer.alloc(0);
  // The machine may go at any moment; what was to be probed then has no answer.
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
      const end = 4 + rest.readUInt32BE(0);
      take(rest.subarray(4, end));
      rest = rest.subarray(end);
    }
    if (rest.length >= 4 && rest.readUInt32BE(0) > LONGEST) socket.destroy();
  });
}
