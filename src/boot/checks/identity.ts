// Who a machine is: what no other machine may share, and what a restart must not change.
import type { Attempt, Look } from '../retry.ts';
import type { Session } from '../session.ts';

export interface Identity {
  /** What cloud-init takes it for. */
  instanceId: string;
  machineId: string;
  /** Public host keys, `TYPE BASE64`, sorted. */
  hostKeys: string[];
}

export async function readIdentity(session: Session, attempt: Attempt): Promise<Identity> {
  const { stdout } = await session.ask(
    'cat /var/lib/cloud/data/instance-id /etc/machine-id && cut -d" " -f1,2 /etc/ssh/ssh_host_*_key.pub',
    attempt,
  );
  const [instanceId = '', machineId = '', ...hostKeys] = stdout.split('\n').filter(Boolean);
  return { instanceId, machineId, hostKeys: hostKeys.sort() };
}

/** Of a first boot the seed's instance id, and whom it must not resemble; of a second one who it was in the first. */
export type ExpectedIdentity = { instanceId: string; others: Identity[] } | { first: Identity };

export function judgeIdentity(found: Identity, expected: ExpectedIdentity): Look {
  const faults = 'first' in expected ? changes(found, expected.first) : unfit(found, expected);
  const { machineId, hostKeys } = found;
  return {
    ok: faults.length === 0,
    seen: faults.join(', ') || `machine-id ${machineId}, ${hostKeys.length} host keys`,
  };
}

function unfit(
  { instanceId, machineId, hostKeys }: Identity,
  seed: { instanceId: string; others: Identity[] },
): string[] {
  const hasMachineId = (other: Identity): boolean => other.machineId === machineId;
  const hasHostKey = (other: Identity): boolean => other.hostKeys.some((key) => hostKeys.includes(key));
  return [
    ...(instanceId === seed.instanceId ? [] : [`instance id ${instanceId}, not the seed's ${seed.instanceId}`]),
    ...(/^[0-9a-f]{32}$/.test(machineId) ? [] : [`machine-id “${machineId}”`]),
    ...(hostKeys.length > 0 ? [] : ['no host keys']),
    ...(seed.others.some(hasMachineId) ? ['another machine has its machine-id'] : []),
    ...(seed.others.some(hasHostKey) ? ['another machine has its host keys'] : []),
  ];
}

function changes(second: Identity, first: Identity): string[] {
  return [
    ...(second.instanceId === first.instanceId ? [] : ['another instance id']),
    ...(second.machineId === first.machineId ? [] : ['another machine-id']),
    ...(second.hostKeys.join() === first.hostKeys.join() ? [] : ['other host keys']),
  ];
}
