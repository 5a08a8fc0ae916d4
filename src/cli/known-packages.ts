// What a role says of packages it does not list itself: whether there are such is known when they are resolved.
import { nearest } from '../lib/suggest.ts';
import { issueAt, reportError } from '../lib/yaml/report.ts';
import type { Draft } from '../role/draft.ts';

/** Throws the role's report (usage) when `emulate:` names what is not among the packages of its image. */
export function refuseUnknownPackages(role: string, { emulate }: Draft, packages: { name: string }[]): void {
  const known = packages.map(({ name }) => name);
  const issues = [...emulate].flatMap(([name, { place }]) => {
    if (known.includes(name)) return [];
    const message = `\`${name}\` is not among the packages of this image: there is nothing to emulate`;
    return [issueAt(place, message, { suggestion: nearest(name, known) })];
  });
  if (issues.length > 0) throw reportError(`Role ${role}`, issues);
}
