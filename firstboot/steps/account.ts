// A user, a group.
import { findAccount } from '../accounts.ts';
import type { Machine } from '../machine.ts';
import type { StepKind, StepOf } from '../step.ts';

type User = Pick<StepOf<'user'>, 'user' | 'system' | 'groups'>;
type Group = Pick<StepOf<'group'>, 'group' | 'system'>;

export const user: StepKind<StepOf<'user'>, User> = {
  shares: 'accounts',
  prepare: ({ user: name, system, groups }) => ({ user: name, system, groups }),
  async check({ user: name, groups }, { machine }) {
    if (!(await findAccount(machine, 'passwd', name))) return `there is no user ${name}`;
    const missing = await groupsLacking(name, groups, machine);
    return missing.length === 0 ? undefined : `user ${name} is not in ${missing.join(', ')}`;
  },
  async apply({ user: name, system, groups }, { machine }) {
    const further = groups.length > 0 ? ['--groups', groups.join(',')] : [];
    if (await findAccount(machine, 'passwd', name)) {
      await machine.run(['usermod', ...below(machine), '--append', ...further, name]);
      return;
    }
    const kind = system ? ['--system', '--shell', '/usr/sbin/nologin'] : ['--create-home', '--shell', '/bin/bash'];
    // A group of that name may be there already: of a step before, or of a useradd that was cut.
    const own = (await findAccount(machine, 'group', name)) ? ['--gid', name] : ['--user-group'];
    await machine.run(['useradd', ...below(machine), ...kind, ...own, ...further, name]);
  },
};

export const group: StepKind<StepOf<'group'>, Group> = {
  shares: 'accounts',
  prepare: ({ group: name, system }) => ({ group: name, system }),
  async check({ group: name }, { machine }) {
    return (await findAccount(machine, 'group', name)) ? undefined : `there is no group ${name}`;
  },
  async apply({ group: name, system }, { machine }) {
    await machine.run(['groupadd', ...below(machine), ...(system ? ['--system'] : []), name]);
  },
};

async function groupsLacking(name: string, groups: string[], machine: Machine): Promise<string[]> {
  const members = await Promise.all(
    groups.map(async (each) => (await findAccount(machine, 'group', each))?.[3]?.split(',') ?? []),
  );
  return groups.filter((_, index) => !members[index]?.includes(name));
}

const below = ({ root }: Machine): string[] => (root === '/' ? [] : ['--prefix', root]);
