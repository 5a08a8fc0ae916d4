// Users with everything said that their entry leaves open.
import type { Draft, Placed } from '../draft.ts';
import type { User } from '../resolved.ts';

type UserEntry = Draft['users'] extends Map<string, Placed<infer T>> ? T : never;

/** The home of a user who has none, as Debian's adduser writes it. */
export const NO_HOME = '/nonexistent';

export function homeOf({ name, system, home }: UserEntry): string {
  return home ?? (system ? NO_HOME : `/home/${name}`);
}

/** `named` are the groups of the role: a user of the same name gets that one, where useradd would want to make it. */
export function compileUser(entry: UserEntry, named: ReadonlyMap<string, unknown>): User {
  const { name, system, uid, groups, shell, comment } = entry;
  const group = entry.group ?? (named.has(name) ? name : undefined);
  return {
    name,
    system,
    ...(uid !== undefined && { uid }),
    ...(group !== undefined && { group }),
    groups,
    home: homeOf(entry),
    shell: shell ?? (system ? '/usr/sbin/nologin' : '/bin/bash'),
    comment,
  };
}
