// The slots that make a card a node's: what this stage writes and reads. Whatever else an image has a slot for is not the seed's.

export const NODE_SLOTS = ['user-data', 'meta-data', 'network-config', 'piimg.json'] as const;
export type NodeSlot = (typeof NODE_SLOTS)[number];
