// Public keys of users as authorized_keys files.
import type { Draft } from '../draft.ts';
import { within } from '../../lib/yaml/place.ts';
import { homeOf } from './users.ts';
import type { WrittenFile } from './written.ts';

/** Modes as ssh-copy-id leaves them: sshd's StrictModes refuses keys that others could write. */
export function compileSshKeys({ users }: Draft): WrittenFile[] {
  return [...users.values()]
    .filter(({ value }) => value.keys.length > 0)
    .flatMap(({ value, place }): WrittenFile[] => {
      const folder = `${homeOf(value).slice(1)}/.ssh`;
      const owned = { owner: value.name, group: value.group ?? value.name };
      const common = { section: 'users' as const, place: within(place, 'keys'), ...owned };
      const content = value.keys.map((key) => `${key.trim()}\n`).join('');
      return [
        { path: folder, mode: 0o700, ...common },
        { path: `${folder}/authorized_keys`, content, mode: 0o600, ...common },
      ];
    });
}
