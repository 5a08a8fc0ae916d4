// Rules about saying things once and not taking them back in the same file.
import type { RoleFile } from '../schema.ts';
import { within } from '../../lib/yaml/place.ts';
import { issueAt } from '../../lib/yaml/report.ts';
import { at, type Rule } from './context.ts';

/** Lists whose entries are told apart by a name: across files the later one wins, in one file it is a slip. */
const NAMED: { [K in keyof RoleFile]?: string } = {
  overlays: 'name',
  files: 'path',
  run: 'name',
  users: 'name',
  groups: 'name',
  sources: 'name',
  npm: 'destination',
  artifacts: 'destination',
  provision: 'name',
};

export const namesAreUnique: Rule = ({ files }) =>
  files.flatMap(({ text, role }) =>
    Object.entries(NAMED).flatMap(([list, key]) => {
      const items = (role[list as keyof RoleFile] ?? []) as Record<string, unknown>[];
      return repeated(items.map((item) => String(item[key]))).map(({ name, index }) =>
        issueAt(at(text, list, index, key), `\`${list}\` has \`${name}\` twice`),
      );
    }),
  );

/** Where packages come from is told by the name: a source named as the base's archive would stand for that. */
export const sourcesAreNotTheBases: Rule = ({ merged, archives }) =>
  [...merged.sources.values()].flatMap(({ value: { name }, place }) =>
    archives.includes(name)
      ? [
          issueAt(
            within(place, 'name'),
            `the base has an archive named \`${name}\`: this source would take its place`,
            {
              allowed: `any other name, like \`${name}-extra\``,
            },
          ),
        ]
      : [],
  );

export const packagesAreListedOnce: Rule = ({ files }) =>
  files.flatMap(({ text, role }) =>
    repeated((role.packages ?? []).map(({ name }) => name)).map(({ name, index }) =>
      issueAt(at(text, 'packages', index), `\`${name}\` is listed twice`, { severity: 'warning' }),
    ),
  );

/** Those names that were there before, with their positions. */
function repeated(names: string[]): { name: string; index: number }[] {
  return names.flatMap((name, index) => (names.indexOf(name) < index ? [{ name, index }] : []));
}

export const packagesAreNotAlsoRemoved: Rule = ({ files }) =>
  files.flatMap(({ text, role }) => {
    const installed = new Set(role.packages?.map(({ name }) => name));
    return (role.remove ?? []).flatMap((name, index) =>
      installed.has(name) ? [issueAt(at(text, 'remove', index), `\`${name}\` is both installed and removed`)] : [],
    );
  });

export const unitsAreNotAlsoDisabled: Rule = ({ files }) =>
  files.flatMap(({ text, role }) =>
    (['disable', 'mask'] as const).flatMap((key) =>
      (role.units?.[key] ?? []).flatMap((unit, index) =>
        role.units?.enable.includes(unit)
          ? [
              issueAt(
                at(text, 'units', key, index),
                `\`${unit}\` is both enabled and ${key === 'mask' ? 'masked' : 'disabled'}`,
              ),
            ]
          : [],
      ),
    ),
  );
