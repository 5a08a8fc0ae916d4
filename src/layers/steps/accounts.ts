// Makes the role's users and groups with the image's own programs.
import { quote } from '../../lib/quote.ts';
import type { ResolvedRole } from '../../role/resolved.ts';
import type { StepContext } from './context.ts';
import { runOrLack } from './lacking.ts';

/**
 * groupadd and useradd for each account; passwords stay locked, an image carries none. Throws PiimgError when nobody makes a group
 * that a user is to be in.
 */
export async function makeAccounts(
  spec: { users: ResolvedRole['users']; groups: ResolvedRole['groups'] },
  context: StepContext,
): Promise<string[]> {
  // One script: each emulated program costs a tenth of a second to start.
  return runOrLack([...spec.groups.map(addGroup), ...spec.users.map(addUser)], context);
}

function addGroup({ name, system, gid }: ResolvedRole['groups'][number]): string {
  return quote(['groupadd', ...flag(system), ...option('--gid', gid), name]);
}

function addUser(user: ResolvedRole['users'][number]): string {
  const own = user.group === undefined ? [] : [user.group];
  // useradd looks at one after the other, and says no more than that it is not there.
  const there = [...own, ...user.groups].map(
    (group) =>
      `cut -d: -f1 /etc/group | grep -qxF ${quote([group])} || lacks group ${quote([group])} $(cut -d: -f1 /etc/group)`,
  );
  const words = [
    'useradd',
    ...flag(user.system),
    ...option('--uid', user.uid),
    ...(user.group === undefined ? ['--user-group'] : ['--gid', user.group, '--no-user-group']),
    ...(user.groups.length > 0 ? ['--groups', user.groups.join(',')] : []),
    '--home-dir',
    user.home,
    user.system ? '--no-create-home' : '--create-home',
    '--shell',
    user.shell,
    '--comment',
    user.comment,
    user.name,
  ];
  return [...there, quote(words)].join('\n');
}

const flag = (system: boolean): string[] => (system ? ['--system'] : []);
const option = (name: string, value: number | undefined): string[] =>
  value === undefined ? [] : [name, String(value)];
