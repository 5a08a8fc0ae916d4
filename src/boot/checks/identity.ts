// Who a machine is: what no other machine may share, and what a restart must not change.
import type { Attempt, Look } from '../retry.ts';
import type { Session } from '../session.ts';

export interface Identity {
  /** What cloud-init takes it for; its host name where there is no cloud-init. */
  instanceId: string;
  machineId: string;
  /** Public host keys, `TYPE BASE64`, sorted. */
  hostKeys: string[];
}

export async function readIdentity(session: Session, attempt: Attempt): Promise<Identity> {
  const { stdout } = await session.ask(
    '{ cat /var/lib/cloud/data/instance-id 2>/dev/null || hostname; } && cat /etc/machine-id && cut -d" " -f1,2 /etc/ssh/ssh_host_*_key.pub',
    attempt,
  );
  const [instanceId = '', machineId = '', ...hostKeys] = stdout.split('\n').filter(Boolean);
  return { instanceId, machineId, hostKeys: hostKeys.sort() };
}

/** Of a first boot what makes it a machine of its own; of a second one who it was in the first. */
export type ExpectedIdentity = Fresh | { first: Identity };

interface Fresh {
  /** The seed's. */
  instanceId: string;
  /** Files of the image that are an identity: every machine made of it would have that one. */
  inImage: string[];
  /** Machines whom it must not resemble; the one that is judged is added to them. */
  met: Identity[];
}

/** A machine is judged and added to those that were met in one go: of two at the same time the second finds the first. */
export function judgeIdentity(found: Identity, expected: ExpectedIdentity): Look {
  const faults = 'first' in expected ? changes(found, expected.first) : unfit(found, expected);
  const { machineId, hostKeys } = found;
  return {
    ok: faults.length === 0,
    seen: faults.join(', ') || `machine-id ${machineId}, ${hostKeys.length} host keys`,
  };
}

function unfit(found: Identity, seed: Fresh): string[] {
  const { instanceId, machineId, hostKeys } = found;
  // An earlier look at this very machine.
  const others = seed.met.filter((other) => other.instanceId !== seed.instanceId);
  seed.met.splice(0, seed.met.length, ...others, { ...found, instanceId: seed.instanceId });
  const hasMachineId = (other: Identity): boolean => other.machineId === machineId;
  const hasHostKey = (other: Identity): boolean => other.hostKeys.some((key) => hostKeys.includes(key));
  return [
    ...(instanceId === seed.instanceId ? [] : [`instance id ${instanceId}, not the seed's ${seed.instanceId}`]),
    ...(/^[0-9a-f]{32}$/.test(machineId) ? [] : [`machine-id “${machineId}”`]),
    ...(hostKeys.length > 0 ? [] : ['no host keys']),
    ...seed.inImage.map((file) => `the image itself holds ${file}`),
    ...(others.some(hasMachineId) ? ['another machine has its machine-id'] : []),
    ...(others.some(hasHostKey) ? ['another machine has its host keys'] : []),
  ];
}

function changes(second: Identity, first: Identity): string[] {
  return [
    ...(second.instanceId === first.instanceId ? [] : ['another instance id']),
    ...(second.machineId === first.machineId ? [] : ['another machine-id']),
    ...(second.hostKeys.join() === first.hostKeys.join() ? [] : ['other host keys']),
  ];
}
