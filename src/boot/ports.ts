// Free ports of this machine, for what a machine in QEMU serves.
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';

/** A free TCP port of 127.0.0.1 for each of the guest's. */
export async function freePorts(guestPorts: number[]): Promise<Record<number, number>> {
  const servers = guestPorts.map(() => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const free = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return Object.fromEntries(guestPorts.map((port, index) => [port, free[index] ?? 0]));
}
