// Which packages of a lock have security updates waiting in the archive.
import type { LockedPackage } from '../image/manifest.ts';
import type { Apt } from '../host/apt.ts';

export interface WaitingUpdate {
  name: string;
  from: string;
  to: string;
}

/** Packages for which a suite named `…-security` has a newer version than the locked one. */
export async function securityUpdates(apt: Apt, packages: LockedPackage[]): Promise<WaitingUpdate[]> {
  if (packages.length === 0) return [];
  const locked = new Map(packages.map(({ name, version }) => [name, version]));
  const { stdout } = await apt(['apt-cache', 'madison', ...locked.keys()]);
  const waiting = new Map<string, WaitingUpdate>();
  for (const line of stdout.split('\n')) {
    // `name | version | ADDRESS SUITE/COMPONENT ARCHITECTURE Packages`
    const [name = '', to = '', where = ''] = line.split('|').map((field) => field.trim());
    const from = waiting.get(name)?.to ?? locked.get(name);
    if (from === undefined || from === to || !/ \S+-security\//.test(where)) continue;
    const { exitCode } = await apt(['dpkg', '--compare-versions', to, 'gt', from], { okCodes: [0, 1] });
    if (exitCode === 0) waiting.set(name, { name, from: locked.get(name) ?? from, to });
  }
  return [...waiting.values()];
}
