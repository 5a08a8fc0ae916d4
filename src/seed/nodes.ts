// Several nodes, `nodes.yaml`: what all of them have, and what each has beside it or instead.
import { SocketAddress } from 'node:net';
import * as z from 'zod';
import { nodeName } from './document.ts';
import { splitCidr } from './network.ts';
import { checkParts, nodeParts, type NodeFile } from './node.ts';

/** What a node says itself: what is absent is as all have it. */
type Own = Partial<Omit<NodeFile, 'version' | 'node'>>;

/** Without its default, which would stand in the way of what all have. */
function withoutDefault(part: z.ZodType): z.ZodType {
  const inner = part instanceof z.ZodDefault || part instanceof z.ZodPrefault ? part.unwrap() : part;
  return (inner as z.ZodType).optional().describe(part.description ?? '');
}
const ownParts = Object.fromEntries(Object.entries(nodeParts).map(([key, part]) => [key, withoutDefault(part)]));
const own = z.strictObject(ownParts) as unknown as z.ZodType<Own>;

const nodes = z.strictObject({
  version: z.literal(1).describe('Version of the language of nodes: 1.'),
  ...nodeParts,
  nodes: z
    .record(nodeName, own.nullable())
    .refine((all) => Object.keys(all).length > 0, {
      error: '`nodes` names no machine',
      params: { allowed: 'a name for each machine, like `nodes: { pi-web1: {} }`' },
    })
    .describe('The machines by name, and what each has beside the keys above, or instead of them.'),
});

export const nodesSchema = nodes.superRefine((value, context) => {
  checkParts(value, context);
  for (const [name, each] of Object.entries(value.nodes)) checkParts(each ?? {}, context, ['nodes', name]);
  refuseTwins(value, context);
});

/** What all nodes have and what each says, what was left out filled in. */
export type NodesFile = z.output<typeof nodesSchema>;

/** Lists and networks take the place of what all have; variables, secrets and peers are added to it, by key. */
export function nodeOf({ nodes: all, ...common }: NodesFile, name: string): NodeFile {
  const each = all[name] ?? {};
  return {
    ...common,
    ...each,
    node: name,
    variables: { ...common.variables, ...each.variables },
    secrets: { ...common.secrets, ...each.secrets },
    peers: { ...common.peers, ...each.peers },
  };
}

/** An address that two machines have is right for neither. */
function refuseTwins({ network, nodes: all }: NodesFile, context: z.core.$RefinementCtx): void {
  const takers = Object.keys(all).filter((name) => all[name]?.network === undefined);
  if (network.addresses.length > 0 && takers.length > 1) {
    const message = `${takers.join(', ')} would all have the same fixed address: each needs a \`network\` of its own`;
    context.addIssue({ code: 'custom', path: ['network', 'addresses'], message });
  }
  const taken = new Map(takers.flatMap((name) => network.addresses.map((text) => [hostOf(text), name] as const)));
  for (const [name, each] of Object.entries(all)) {
    for (const [index, text] of (each?.network?.addresses ?? []).entries()) {
      const other = taken.get(hostOf(text));
      taken.set(hostOf(text), name);
      if (other === undefined || other === name) continue;
      const message = `\`${other}\` has the address ${splitCidr(text).address} already`;
      context.addIssue({ code: 'custom', path: ['nodes', name, 'network', 'addresses', index], message });
    }
  }
}

/** An address without its network, in its one spelling: IPv6 has many (RFC 5952). */
export function hostOf(cidr: string): string {
  const { address } = splitCidr(cidr);
  return address.includes(':') ? new SocketAddress({ address, family: 'ipv6' }).address : address;
}

let jsonSchema: Record<string, unknown> | undefined;

/** The schema for editors, draft-07 because that is what they read. */
export function nodesFileJsonSchema(): Record<string, unknown> {
  jsonSchema ??= { title: 'piimg nodes', ...z.toJSONSchema(nodesSchema, { target: 'draft-7', io: 'input' }) };
  return jsonSchema;
}
