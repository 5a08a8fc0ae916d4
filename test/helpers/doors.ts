// Ports of a booted machine with services behind them, and what another computer sees of each.
import { closedCheck } from '../../src/boot/checks/closed.ts';
import type { Target } from '../../src/boot/checks/kind.ts';
import { attempt } from './local-session.ts';

/** Services on TCP 5432 and on UDP 5353, of both families; the one of UDP reads and answers nothing. On port 9 is none. */
export const LISTEN = `
systemd-run --quiet python3 -c 'import socket, time
s = socket.create_server(("::", 5432), family=socket.AF_INET6, dualstack_ipv6=True); time.sleep(900)'
systemd-run --quiet python3 -c 'import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind(("::", 5353))
while True: s.recv(99)'
until [ "$(ss -Hlntu "sport = 5432 or sport = 5353" | wc -l)" = 2 ]; do sleep 0.5; done`;
/** Each port, and what another computer sees of it when there is no firewall. */
export const DOORS = [
  { port: 5432, protocol: 'tcp', open: 'open: it answers' },
  { port: 5353, protocol: 'udp', open: 'open: it takes what is sent' },
  { port: 9, protocol: 'tcp', open: 'it refuses' },
] as const;
/** What another computer sees of each of them now. */
export async function knock(target: Target): Promise<string[]> {
  const seen: string[] = [];
  for (const { port, protocol } of DOORS) {
    seen.push((await closedCheck.look(target, { check: 'closed', within: 0, port, protocol }, attempt())).seen);
  }
  return seen;
}
