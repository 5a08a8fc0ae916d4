// Users with everything said that their entry leaves open.
import type { Draft, Placed } from '../draft.ts';
import type { User } from '../resolved.ts';

type UserEntry = Draft['users'] extends Map<string, Placed<infer T>> ? T : never;

export function homeOf({ name, system, home }: UserEntry): string {
  return home ?? (system ? '/nonexistent' : `/home/${name}`);
}

export function compileUser(entry: UserEntry): User {
  const { name, system, uid, group, groups, shell, comment } = entry;
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
