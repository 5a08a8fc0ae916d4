// What one machine is given, as the bytes of an image's seed slots: for `piimg seed`, and for each card of `piimg flash`.
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { makeWorkFolder } from '../host/work-folder.ts';
import { PiimgError } from '../lib/errors.ts';
import { checkCloudInit, type CloudInitSchemas } from '../seed/check.ts';
import { fillSlots, type Filled } from '../seed/fill.ts';
import { makeHostKeys, type HostKey } from '../seed/host-keys.ts';
import { splitCidr } from '../seed/network.ts';
import type { NodeSlot } from '../seed/node-slots.ts';
import type { Node } from '../seed/node.ts';
import { holdsSecrets, nodeTexts } from '../seed/texts.ts';

/** What must be known of the image that the seed is for. */
export interface SeedImage<Slot extends { name: string; length: number }> {
  role: string;
  buildId: string;
  slots: Slot[];
  schemas: CloudInitSchemas;
  /** Whether it is built on a Raspberry Pi OS. */
  raspberryPi?: boolean | undefined;
}

export interface MachineSeed<Slot> {
  filled: Filled<Slot>[];
  hostKeys: HostKey[];
  /** Lines for ~/.ssh/known_hosts. */
  knownHosts: string[];
  /** Whether nobody else may read the bytes. */
  secret: boolean;
  /** Whether cloud-init's own schemas had a look at it. */
  checked: boolean;
  warnings: string[];
}

/** 16 hex digits that no other card has. */
export const newRandom = (): string => randomBytes(8).toString('hex');

/**
 * The bytes for `node`; the same `random` gives the same ones, but for host keys. Throws PiimgError: what cloud-init would refuse, or what
 * does not fit its slot.
 */
export async function seedOf<Slot extends { name: string; length: number }>(
  node: Node,
  { role, buildId, slots, schemas, raspberryPi = false }: SeedImage<Slot>,
  { random = newRandom(), logins = [], signal }: { random?: string; logins?: string[]; signal: AbortSignal },
): Promise<MachineSeed<Slot>> {
  const hostKeys = node.hostKeys ? await newHostKeys(node.node, signal) : [];
  const texts = nodeTexts(node, { role, buildId, random, hostKeys, raspberryPi });
  const { cloudConfig, networkConfig } = schemas;
  const checked = cloudConfig !== undefined && networkConfig !== undefined;
  return {
    filled: checkedSlots(texts, slots, schemas),
    hostKeys,
    knownHosts: knownHosts(node, hostKeys),
    secret: holdsSecrets(node, hostKeys),
    checked,
    warnings: warningsFor(node, logins, checked),
  };
}

/** Made in a folder of their own, which goes again. */
export async function newHostKeys(node: string, signal: AbortSignal): Promise<HostKey[]> {
  const folder = await makeWorkFolder('seed');
  try {
    return await makeHostKeys(folder, node, signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function checkedSlots<Slot extends { name: string; length: number }>(
  texts: Record<NodeSlot, string>,
  slots: Slot[],
  schemas: CloudInitSchemas,
): Filled<Slot>[] {
  const complaints = checkCloudInit(texts, schemas);
  if (complaints.length > 0) {
    throw new PiimgError("cloud-init's own schemas do not take this seed", {
      detail: complaints.join('\n'),
      hint: 'Change what the lines above name; nothing was written.',
    });
  }
  return fillSlots(slots, texts);
}

/** Lines for ~/.ssh/known_hosts. */
export function knownHosts({ node, network }: Node, hostKeys: HostKey[]): string[] {
  const names = [node, ...network.addresses.map((text) => splitCidr(text).address)].join(',');
  return hostKeys.map(({ publicKey }) => `${names} ${publicKey.split(' ').slice(0, 2).join(' ')}`);
}

/** `logins`: users that the role is known to let in. */
function warningsFor({ users }: Node, logins: string[], checked: boolean): string[] {
  return [
    ...(logins.length > 0 || users.some(({ keys }) => keys.length > 0)
      ? []
      : ['no ssh key was given: nobody can log in, unless the role itself has a user with a key']),
    ...(checked ? [] : ["the image carries no schemas of cloud-init's: the seed was not checked with them"]),
  ];
}
