// What a role says of packages it does not list itself: whether there are such is known when they are resolved.
import type { WrongPackage } from '../base/resolve.ts';
import { nearest } from '../lib/suggest.ts';
import { issueAt, reportError } from '../lib/yaml/report.ts';
import type { Draft } from '../role/draft.ts';

/** Throws the role's report (usage) when `emulate:` names what is not among the packages of its image, nor removed from what it builds on. */
export function refuseUnknownPackages(role: string, { emulate, remove }: Draft, packages: { name: string }[]): void {
  const known = packages.map(({ name }) => name);
  const issues = [...emulate].flatMap(([name, { place }]) => {
    if (known.includes(name) || remove.has(name)) return [];
    const message = `\`${name}\` is not among the packages of this image: there is nothing to emulate`;
    return [issueAt(place, message, { suggestion: nearest(name, known) })];
  });
  if (issues.length > 0) throw reportError(`Role ${role}`, issues);
}

/** The role's report (usage) when apt has refused packages that the role names (`cause.wrong`); any other error is given back. */
export function atTheirPlaces(error: unknown, role: string, { packages, remove }: Draft): unknown {
  const cause = error instanceof Error ? error.cause : undefined;
  if (typeof cause !== 'object' || cause === null || !('wrong' in cause)) return error;
  const issues = (cause.wrong as WrongPackage[]).flatMap(({ name, message, ...more }) => {
    const entry = packages.get(name) ?? remove.get(name);
    return entry === undefined ? [] : [issueAt(entry.place, message, more)];
  });
  return issues.length > 0 ? reportError(`Role ${role}`, issues) : error;
}
