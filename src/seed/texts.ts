// A node becomes the four texts of its card: what cloud-init reads, and the node document.
import { EXIT, PiimgError } from '../lib/errors.ts';
import { cloudInitTexts } from './cloud-init.ts';
import { nodeDocument, type NodeDocument } from './document.ts';
import type { HostKey } from './host-keys.ts';
import { splitCidr } from './network.ts';
import type { NodeSlot } from './node-slots.ts';
import type { Node } from './node.ts';

/** What a card's texts depend on beside the node. */
export interface Card {
  /** Of the image. */
  buildId: string;
  role: string;
  /** 16 hex digits that no other card has. */
  random: string;
  hostKeys: HostKey[];
  /** Whether the image is built on a Raspberry Pi OS. */
  raspberryPi?: boolean;
}

/** Pure: the same node and card give the same texts. Throws PiimgError (usage) for what the image cannot be told. */
export function nodeTexts(node: Node, card: Card): Record<NodeSlot, string> {
  const { buildId, role, random, hostKeys, raspberryPi = false } = card;
  const { users, network, locale, timezone } = node;
  const instanceId = `piimg-${node.node}-${random}`;
  return {
    ...cloudInitTexts({ instanceId, hostname: node.node, users, network, locale, timezone, hostKeys, raspberryPi }),
    'piimg.json': documentText(node, { buildId, role }),
  };
}

/** What the agent reads. Throws PiimgError (usage) for an image whose role or build id no document can name. */
export function documentText(node: Node, image: Pick<Card, 'buildId' | 'role'>): string {
  return `${JSON.stringify(documentOf(node, image), undefined, 2)}\n`;
}

function documentOf(node: Node, { buildId, role }: Pick<Card, 'buildId' | 'role'>): NodeDocument {
  const { variables, peers, secrets, report } = node;
  const addresses = node.network.addresses.map((text) => splitCidr(text).address);
  const document = { version: 1, buildId, node: node.node, role, network: { addresses }, variables, peers, secrets };
  const parsed = nodeDocument.safeParse({ ...document, ...(report !== undefined && { report }) });
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.map(({ path }) => path.join('.'));
  throw new PiimgError(`The node document for this image would not be valid: ${fields.join(', ')}`, {
    exitCode: EXIT.usage,
    hint: 'Build the image again with this piimg.',
  });
}

/** Whether a text of this node's must not be read by others. */
export function holdsSecrets({ secrets, network, users }: Node, hostKeys: HostKey[]): boolean {
  return (
    Object.keys(secrets).length > 0 ||
    network.wifi?.password !== undefined ||
    users.some(({ passwordHash }) => passwordHash !== undefined) ||
    hostKeys.length > 0
  );
}
