// The seed an image is built with: valid and empty, until flashing puts a node's own in its place.
import { canonicalJson } from '../lib/digest.ts';
import { PiimgError } from '../lib/errors.ts';

/** Bytes of each slot: multiples of 4096, and several times what a large fleet's nodes need. */
export const SLOT_LENGTHS = {
  'user-data': 64 * 1024,
  'meta-data': 4 * 1024,
  'network-config': 16 * 1024,
  'piimg.json': 128 * 1024,
} as const;
export type SlotName = keyof typeof SLOT_LENGTHS;

const USER_DATA = `#cloud-config
# What this machine is given on its first boot. No user can log in until one is named here, for example:
#
#   hostname: kitchen
#   users:
#     - name: alex
#       groups: [sudo]
#       shell: /bin/bash
#       ssh_authorized_keys: ["ssh-ed25519 AAAA… alex@laptop"]
#
# Keep the first line, write with spaces, and give meta-data another instance-id when the machine has booted before.
{}
`;

const NETWORK_CONFIG = `# Wired networks by DHCP. For Wi-Fi add a wifis: section (netplan's format, version 2).
version: 2
ethernets:
  wired:
    match: { name: "e*" }
    dhcp4: true
    dhcp6: true
    optional: true
`;

/**
 * The four slots' content, padded, in the order they take on the boot partition. Where the base's `own` first boot tells a card who it is, the
 * agent's alone.
 */
export function minimalSeed(buildId: string, firstBoot?: 'own'): { name: SlotName; content: Buffer }[] {
  const texts: Record<SlotName, string> = {
    'user-data': USER_DATA,
    // Unique for each build, so that cloud-init takes a card written anew for a new machine.
    'meta-data': `instance-id: piimg-${buildId.slice(0, 16)}\n`,
    'network-config': NETWORK_CONFIG,
    'piimg.json': `${canonicalJson({ version: 1, buildId })}\n`,
  };
  const names = firstBoot === 'own' ? (['piimg.json'] as const) : (Object.keys(SLOT_LENGTHS) as SlotName[]);
  return names.map((name) => {
    return { name, content: padSlot(texts[name], SLOT_LENGTHS[name], name) };
  });
}

/** Text filled with newlines to `length` bytes: still valid YAML and JSON. Throws PiimgError when it is longer. */
export function padSlot(text: string, length: number, name = 'seed'): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length > length) {
    throw new PiimgError(`${name} is ${bytes.length} bytes long; its place on the card holds ${length}.`, {
      hint: 'Move large files into the role, or let a provisioning step fetch them.',
    });
  }
  return Buffer.concat([bytes, Buffer.alloc(length - bytes.length, '\n')]);
}
