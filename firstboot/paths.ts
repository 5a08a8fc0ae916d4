// Where things are on the machine. Everything lies below a root, so that tests have one of their own.
import path from 'node:path';

export interface Paths {
  root: string;
  /** The node document's slot, on the boot partition. */
  document: string;
  /** What the build says of the image: its build id and role. */
  image: string;
  role: string;
  templates: string;
  /** What the agent keeps: readable by root only, but for the result. */
  state: string;
  journal: string;
  secrets: string;
  result: string;
  /** The boot partition's copy. */
  resultOnBoot: string;
  /** The seed as it lay on the boot partition when it was applied: while it is the same, there is nothing to do. */
  seen: string;
  lock: string;
  /** Which machine cloud-init takes this for, and for which all its work is known to be on the card. */
  instance: string;
  cloudInitDone: string;
  /** The Wi-Fi that the card has given, once it is no longer on the boot partition. What cloud-init writes (50) comes after it, and holds. */
  wifi: string;
}

/** `root` is `/` on a machine. */
export function pathsBelow(root: string): Paths {
  const at = (file: string): string => path.join(root, file);
  const state = at('var/lib/piimg');
  return {
    root,
    document: at('boot/firmware/piimg.json'),
    image: at('usr/lib/piimg/image.json'),
    role: at('usr/lib/piimg/role.json'),
    templates: at('usr/lib/piimg/node'),
    state,
    journal: path.join(state, 'journal.json'),
    secrets: path.join(state, 'secrets.json'),
    result: path.join(state, 'result.json'),
    resultOnBoot: at('boot/firmware/piimg-result.json'),
    seen: path.join(state, 'seen.sha256'),
    lock: at('run/piimg/lock'),
    instance: at('var/lib/cloud/data/instance-id'),
    cloudInitDone: path.join(state, 'cloud-init-done'),
    wifi: at('etc/netplan/40-piimg-wifi.yaml'),
  };
}
