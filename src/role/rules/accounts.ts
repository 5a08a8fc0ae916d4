// Rules about users and groups: those that are named should exist.
import { nearest } from '../../lib/suggest.ts';
import { within, type Place } from '../../lib/yaml/place.ts';
import { issueAt, type Issue, type IssueOptions } from '../../lib/yaml/report.ts';
import { homeOf, NO_HOME } from '../compile/users.ts';
import type { Rule, RuleContext } from './context.ts';

/** Groups of base-passwd 3.6 (group.master), and those that systemd and openssh of the base add. */
const BASE_GROUPS = (
  'root daemon bin sys adm tty disk lp mail news uucp man proxy kmem dialout fax voice cdrom floppy tape sudo audio ' +
  'dip www-data backup operator list irc src shadow utmp video sasl plugdev staff games users nogroup input sgx clock ' +
  'kvm render netdev crontab systemd-journal systemd-network systemd-resolve systemd-timesync messagebus _ssh'
).split(' ');
/** Users of base-passwd 3.6 (passwd.master), and those of the base's services. */
const BASE_USERS = (
  'root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc _apt nobody sshd messagebus ' +
  'systemd-network systemd-resolve systemd-timesync'
).split(' ');

/** useradd and groupadd fail for what is there already, and a role has no need to make it. */
export const accountsAreNew: Rule = ({ merged }) => [
  ...[...merged.users.values()].flatMap(({ value, place }) => present('user', value.name, BASE_USERS, place)),
  ...[...merged.groups.values()].flatMap(({ value, place }) => present('group', value.name, BASE_GROUPS, place)),
];

function present(kind: string, name: string, existing: string[], place: Place): Issue[] {
  if (!existing.includes(name)) return [];
  return [issueAt(within(place, 'name'), `the ${kind} \`${name}\` is part of the base: a role cannot make it`)];
}

/** Debian policy 9.2.2: 0-99 are the same on every Debian system, 100-999 go to users of packages as these are installed. */
const [FIRST_SYSTEM, FIRST_OWN] = [100, 1000];

/** useradd and groupadd refuse a number that is taken; below 1000 Debian decides whose it is. */
export const idsAreFree: Rule = ({ merged }) => [
  ...freeIds(
    'uid',
    [...merged.users.values()].map(({ value, place }) => ({ ...value, id: value.uid, place })),
  ),
  ...freeIds(
    'gid',
    [...merged.groups.values()].map(({ value, place }) => ({ ...value, id: value.gid, place })),
  ),
];

function freeIds(
  key: 'uid' | 'gid',
  accounts: { name: string; system: boolean; id: number | undefined; place: Place }[],
): Issue[] {
  const taken = new Map<number, string>();
  return accounts.flatMap(({ name, system, id, place }) => {
    if (id === undefined) return [];
    const other = taken.get(id);
    taken.set(id, name);
    const say = (message: string, options: IssueOptions): Issue[] => [issueAt(within(place, key), message, options)];
    const allowed = `a number from ${FIRST_OWN} to 59999, or none: then a free one is taken`;
    if (other !== undefined) return say(`\`${other}\` has the ${key} ${id} already`, { allowed });
    if (id < FIRST_SYSTEM)
      return say(`the ${key} ${id} belongs to the base: Debian itself gives out 0-99`, { allowed });
    if (id >= FIRST_OWN) return [];
    const message = `the ${key} ${id} is of those that Debian gives to system users of packages as they come`;
    return system ? say(`${message}: it may be taken`, { allowed, severity: 'warning' }) : say(message, { allowed });
  });
}

/** sshd reads keys from the home folder; one that by its name does not exist would be made for them. */
export const keysHaveAHome: Rule = ({ merged }) =>
  [...merged.users.values()].flatMap(({ value, place }) => {
    if (value.keys.length === 0 || homeOf(value) !== NO_HOME) return [];
    return [
      issueAt(within(place, 'keys'), `the user \`${value.name}\` has keys, but no home folder to keep them in`, {
        part: 'key',
        allowed: `\`home: /var/lib/${value.name}\`, and to log in \`shell: /bin/bash\``,
      }),
    ];
  });

function groupsOf({ merged }: RuleContext): string[] {
  return [...BASE_GROUPS, ...merged.groups.keys(), ...merged.users.keys()];
}

/** Only a warning: the scripts of a package may create the group. */
export const userGroupsExist: Rule = (context) => {
  const known = groupsOf(context);
  return [...context.merged.users.values()].flatMap(({ value, place }) => {
    const named = value.groups.map((group, index) => ({ group, place: within(place, 'groups', index) }));
    if (value.group !== undefined) named.push({ group: value.group, place: within(place, 'group') });
    return named.flatMap(({ group, place }) => unknown('group', group, known, place));
  });
};

/**
 * Only what looks like a slip: packages bring users of their own, and where the image is built a name that really does
 * not exist is an error. Numbers need no name.
 */
export const ownersExist: Rule = (context) => {
  const users = [...BASE_USERS, ...context.merged.users.keys()];
  const groups = groupsOf(context);
  const owned = [
    ...context.entries.map(({ entry, place }) => ({ ...entry, place })),
    ...[...context.merged.npm.values()].map(({ value, place }) => ({ ...value, place })),
    ...[...context.merged.artifacts.values()].map(({ value, place }) => ({ ...value, place })),
  ];
  return owned
    .flatMap(({ owner = 'root', group = 'root', place }) => [
      ...unknown('user', owner, users, place),
      ...unknown('group', group, groups, place),
    ])
    .filter(({ suggestion }) => suggestion !== undefined);
};

function unknown(kind: string, name: string, known: string[], place: Place): Issue[] {
  if (/^\d+$/.test(name) || known.includes(name)) return [];
  const suggestion = nearest(name, known);
  const message = `the ${kind} \`${name}\` is neither in the base nor in the role; a package would have to create it`;
  return [issueAt(place, message, { severity: 'warning', suggestion })];
}
