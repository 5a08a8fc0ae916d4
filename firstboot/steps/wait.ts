// Waits until a port answers, here or on all peers of a role.
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Problem } from '../problem.ts';
import type { Lack, StepKind, StepOf } from '../step.ts';

interface Wait {
  port: number;
  timeout: number;
  /** Whom to wait for: any of the addresses will do. */
  targets: { name: string; addresses: string[] }[];
}

/** Milliseconds for one answer, and between two questions. */
const ANSWER = 3000;
const PAUSE = 1000;

export const wait: StepKind<StepOf<'wait'>, Wait> = {
  flushes: true,
  prepare({ port, peers, timeout }, { document }) {
    if (peers === undefined)
      return { port, timeout, targets: [{ name: 'this machine', addresses: ['127.0.0.1', '::1'] }] };
    const targets = document.peers[peers];
    if (targets !== undefined) return { port, timeout, targets };
    throw new Problem(`The node document names no peers of role ${peers}.`, {
      hint: `Name them in the node file, or say that there are none: peers: { ${peers}: [] }`,
    });
  },
  check: silent,
  async apply(step) {
    const deadline = process.uptime() + step.timeout;
    for (;;) {
      const lack = await silent(step);
      if (lack === undefined) return;
      if (process.uptime() > deadline) {
        throw new Problem(`${lack}, for ${step.timeout} seconds`, {
          hint: 'Is that machine on, on the same network, and let in by its firewall? Then: piimg-firstboot retry',
        });
      }
      await sleep(PAUSE);
    }
  },
};

async function silent({ targets, port }: Wait): Promise<Lack> {
  const heard = await Promise.all(
    targets.map(async ({ addresses }) =>
      (await Promise.all(addresses.map((address) => answers(address, port)))).some(Boolean),
    ),
  );
  const missing = targets.filter((_, index) => !heard[index]);
  const told = missing.map(({ name, addresses }) =>
    name === 'this machine' ? name : `${name} (${addresses.join(', ')})`,
  );
  return missing.length === 0 ? undefined : `port ${port} does not answer on ${told.join(', ')}`;
}

function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: ANSWER });
    const end = (heard: boolean): void => {
      socket.destroy();
      resolve(heard);
    };
    socket.on('connect', () => end(true));
    socket.on('timeout', () => end(false));
    socket.on('error', () => end(false));
  });
}
