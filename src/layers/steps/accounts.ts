// Makes the role's users and groups with the image's own programs.
import type { ResolvedRole } from '../../role/resolved.ts';
import { clock, rootOf, type StepContext } from './context.ts';

/** groupadd and useradd for each account; passwords stay locked, an image carries none. */
export async function makeAccounts(
  spec: { users: ResolvedRole['users']; groups: ResolvedRole['groups'] },
  context: StepContext,
): Promise<string[]> {
  const commands = [
    ...spec.groups.map(({ name, system, gid }) => ['groupadd', ...flag(system), ...option('--gid', gid), name]),
    ...spec.users.map((user) => [
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
    ]),
  ];
  // One script: each emulated program costs a tenth of a second to start.
  const script = commands
    .map((words) => words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' '))
    .join('\n');
  await context.sandbox.inRoot(rootOf(context, 'native'), {
    argv: ['sh', '-euc', script],
    env: clock(context),
    signal: context.signal,
  });
  return [];
}

const flag = (system: boolean): string[] => (system ? ['--system'] : []);
const option = (name: string, value: number | undefined): string[] =>
  value === undefined ? [] : [name, String(value)];
