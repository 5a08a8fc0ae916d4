// The identities of the cards of one flash: for each a node, and the bytes that its card has instead of the image's.
import type { SeedSlot } from '../image/manifest.ts';
import type { ImageHeader } from '../image/header.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { CloudInitSchemas } from '../seed/check.ts';
import { completeNode, type Given } from '../seed/given.ts';
import type { HostKey } from '../seed/host-keys.ts';
import type { Network } from '../seed/network.ts';
import { NODE_SLOTS } from '../seed/node-slots.ts';
import type { Node, User } from '../seed/node.ts';
import { hostOf } from '../seed/nodes.ts';
import type { Nodes } from '../seed/nodes-file.ts';
import { newRandom, seedOf, type MachineSeed } from './seed-machine.ts';

export interface CardSeed extends Omit<MachineSeed<SeedSlot>, 'filled'> {
  node: string;
  /** Beside those of the role. */
  users: User[];
  network: Network;
  hostKeys: HostKey[];
  /** Sorted, none over another; whole blocks of 4096 bytes. */
  patches: { offset: number; length: number; content: Buffer }[];
}

export interface SeedSources {
  /** What `--from` names. */
  nodes?: Nodes | undefined;
  /** Options; they go over the file, for every card. */
  given: Given;
  /** Cloud-init's own, where the image could be asked for them. */
  schemas?: CloudInitSchemas;
  /** Users that the role is known to let in: no warning of nobody then. */
  logins?: string[];
  /** 16 hex digits, others at each call. */
  random?: () => string;
}

/**
 * A seed for each of `names`, in their order; undefined is the machine that options or file name. Throws PiimgError (usage) for what is wrong
 * with one of them, or with two of them together, before a key is made.
 */
export async function cardSeeds(
  names: (string | undefined)[],
  header: ImageHeader,
  { nodes, given, schemas = {}, logins = [], random = newRandom }: SeedSources,
  signal: AbortSignal,
): Promise<CardSeed[]> {
  const machines = machinesFor(names, { nodes, given });
  const { role, buildId, raspberryPi } = header;
  const image = { role, buildId, raspberryPi, slots: slotsOf(header), schemas };
  const seeds: CardSeed[] = [];
  for (const machine of machines) {
    signal.throwIfAborted();
    const { filled, ...seed } = await seedOf(machine, image, { random: random(), logins, signal });
    const { node, users, network } = machine;
    const patches = filled.map(({ slot: { offset, length }, content }) => ({ offset, length, content }));
    seeds.push({ ...seed, node, users, network, patches: patches.sort((a, b) => a.offset - b.offset) });
  }
  return seeds;
}

/** The nodes of the cards, in their order. Throws PiimgError (usage) as `cardSeeds` does. */
export function machinesFor(
  names: (string | undefined)[],
  { nodes, given }: Pick<SeedSources, 'nodes' | 'given'>,
): Node[] {
  refuseOneName(names, given);
  const machines = names.map((name) => {
    const node = name ?? given.node;
    return completeNode(nodes?.nodeFile(node), { ...given, node });
  });
  refuseTwins(machines);
  return machines;
}

const usage = (message: string, hint: string): PiimgError => new PiimgError(message, { exitCode: EXIT.usage, hint });

function slotsOf({ slots }: ImageHeader): SeedSlot[] {
  const missing = NODE_SLOTS.find((name) => !slots.some((slot) => slot.name === name));
  if (missing === undefined) return slots;
  throw usage(`The image has no place for ${missing}`, 'Build the image again with this piimg.');
}

/** `--node` is the name of one machine. */
function refuseOneName(names: (string | undefined)[], { node }: Given): void {
  const other = names.find((name) => name !== undefined && name !== node);
  if (node === undefined || (names.length === 1 && other === undefined)) return;
  throw usage(
    names.length > 1 ? '--node names one machine, and there are several cards' : `Is it ${node} or ${other}?`,
    'Name each card as NODE=/dev/sdX, and leave out --node.',
  );
}

/** What no two machines of a network may share. */
function refuseTwins(machines: Node[]): void {
  const names = new Set<string>();
  const taken = new Map<string, string>();
  for (const { node, network } of machines) {
    if (names.has(node)) throw usage(`Two cards would both be ${node}`, 'Each needs a name of its own: NODE=/dev/sdX.');
    names.add(node);
    for (const address of network.addresses.map(hostOf)) {
      const other = taken.get(address) ?? node;
      taken.set(address, other);
      if (other === node) continue;
      throw usage(
        `${other} and ${node} would both have the address ${address}`,
        'Give each its own in the file of --from (piimg schema nodes), or leave it to DHCP.',
      );
    }
  }
}
