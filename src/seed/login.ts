// The seed of a machine that somebody is to log in to by key: what a boot test puts on its throw-away card.
import { cloudInitTexts, type CloudInit } from './cloud-init.ts';
import { fillSlots, type Filled } from './fill.ts';

export interface LoginSeed extends Pick<CloudInit, 'instanceId' | 'hostname' | 'fixed' | 'raspberryPi'> {
  user: string;
  /** Lines for authorized_keys. */
  keys: string[];
}

/**
 * Bytes for three of the image's slots, padded to their length: a user with sudo and these keys, no password; all wired
 * networks by DHCP but the fixed ones. `piimg.json` stays as the image has it. Throws PiimgError when a slot is too short.
 */
export function loginSeed<Slot extends { name: string; length: number }>(
  slots: Slot[],
  { user, keys, ...machine }: LoginSeed,
): Filled<Slot>[] {
  const network = { addresses: [], dns: [] };
  const texts = cloudInitTexts({ ...machine, users: [{ name: user, keys }], network });
  return fillSlots(slots, texts);
}
