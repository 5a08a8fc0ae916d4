// The peers' names in /etc/hosts.
import { readFile } from 'node:fs/promises';
import { writeDurably } from '../durable.ts';
import type { StepContext, StepKind, StepOf } from '../step.ts';

/** Marks what is the agent's, so that it can be replaced and the rest stays. */
const markOf = (step: string): string => `# a peer of this node, by step ${step}`;

export const hosts: StepKind<StepOf<'hosts'>, { mark: string; lines: string[] }> = {
  flushes: true,
  shares: 'hosts',
  prepare({ name: step, roles }, { document }) {
    const mark = markOf(step);
    const of = Object.entries(document.peers).filter(([role]) => roles.length === 0 || roles.includes(role));
    const peers = of.flatMap(([, machines]) => machines);
    return {
      mark,
      lines: peers.flatMap(({ name, addresses }) => addresses.map((address) => `${address} ${name} ${mark}`)),
    };
  },
  async check({ mark, lines }, context) {
    const found = (await current(context)).filter((line) => line.endsWith(mark));
    return found.join('\n') === lines.join('\n') ? undefined : 'the peers in /etc/hosts are others';
  },
  async apply({ mark, lines }, context) {
    const rest = (await current(context)).filter((line) => !line.endsWith(mark));
    const text = [...rest, ...lines].join('\n');
    await writeDurably(context.machine.at('etc/hosts'), `${text}\n`, { mode: 0o644, uid: 0, gid: 0 });
  },
};

async function current({ machine }: StepContext): Promise<string[]> {
  const text = await readFile(machine.at('etc/hosts'), 'utf8').catch(() => '');
  return text.split('\n').filter((line, index, all) => index < all.length - 1 || line !== '');
}
