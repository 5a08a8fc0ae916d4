// Makes the role's users and groups with the image's own programs.
import { quote } from '../../lib/quote.ts';
import type { ResolvedRole } from '../../role/resolved.ts';
import type { StepContext } from './context.ts';
import { runOrLack } from './lacking.ts';

/**
 * groupadd and useradd for each account; passwords stay locked, an image carries none. A base that is an image may have made groups, and an
 * account for people: those become as the role says. Throws PiimgError when nobody makes a group that a user is to be in.
 */
export async function makeAccounts(
  spec: { users: ResolvedRole['users']; groups: ResolvedRole['groups'] },
  context: StepContext,
): Promise<string[]> {
  // One script: each emulated program costs a tenth of a second to start.
  return runOrLack([ID_IN, ...spec.groups.map(addGroup), ...spec.users.map(addUser)], context);
}

function addGroup({ name, system, gid }: ResolvedRole['groups'][number]): string {
  const add = quote(['groupadd', ...flag(system), ...option('--gid', gid), name]);
  const right = gid === undefined ? 'true' : `[ "$id" = ${gid} ]`;
  return `id=$(idIn /etc/group ${quote([name])})
if [ -z "$id" ]; then ${add}; elif ! ${right}; then echo ${quote([`the group ${name} has the gid`])} "$id" there, not ${gid} >&2; exit 1; fi`;
}

function addUser(user: ResolvedRole['users'][number]): string {
  const own = user.group === undefined ? [] : [user.group];
  // useradd looks at one after the other, and says no more than that it is not there.
  const there = [...own, ...user.groups].map(
    (group) =>
      `cut -d: -f1 /etc/group | grep -qxF ${quote([group])} || lacks group ${quote([group])} $(cut -d: -f1 /etc/group)`,
  );
  const both = [
    ...option('--uid', user.uid),
    ...(user.groups.length > 0 ? ['--groups', user.groups.join(',')] : []),
    '--shell',
    user.shell,
    '--comment',
    user.comment,
    user.name,
  ];
  const home = ['--home-dir', user.home, user.system ? '--no-create-home' : '--create-home'];
  const group = user.group === undefined ? ['--user-group'] : ['--gid', user.group, '--no-user-group'];
  const add = quote(['useradd', ...flag(user.system), ...group, ...home, ...both]);
  if (user.system) return [...there, add].join('\n');
  // Its makers may have put it into groups for hardware.
  const append = user.groups.length > 0 ? ['--append'] : [];
  // As useradd has it: locked, whatever its makers let in.
  const change = [
    'usermod',
    '--password',
    '!',
    ...append,
    ...option('--gid', user.group),
    '--home',
    user.home,
    ...both,
  ];
  const [place, name] = [quote([user.home]), quote([user.name])];
  return [
    ...there,
    `id=$(idIn /etc/passwd ${name})`,
    `if [ "\${id:-0}" -ge ${FIRST_OF_PEOPLE} ]; then
  ${quote(change)}
  [ -d ${place} ] || { install -d -m 700 ${place}; cp -aT /etc/skel ${place}; chown -R ${name}: ${place}; }
else ${add}; fi`,
  ].join('\n');
}

/** Debian policy 9.2.2: those below are of the system and of packages, whose accounts are not the role's to change. */
const FIRST_OF_PEOPLE = 1000;

/** idIn TABLE NAME: the number that it has there, nothing when it is not. */
const ID_IN = `idIn() { awk -F: -v name="$2" '$1 == name { print $3 }' "$1"; }`;

const flag = (system: boolean): string[] => (system ? ['--system'] : []);
const option = (name: string, value: number | string | undefined): string[] =>
  value === undefined ? [] : [name, String(value)];
