// A role file taken apart into entries that know their name and where they were written, and the merging of two.
import { dirname, resolve } from 'node:path';
import { canonicalJson } from '../lib/digest.ts';
import { within, type Path, type Place, type YamlText } from '../lib/yaml/place.ts';
import type { RoleFile } from './schema.ts';

/** A value and where it was written. */
export interface Placed<T> {
  value: T;
  place: Place;
}
/** Entries by the name that makes two of them the same one, in the order in which they were first named. */
export type Entries<T> = Map<string, Placed<T>>;

type Item<K extends keyof RoleFile> = NonNullable<RoleFile[K]> extends (infer T)[] ? T : never;
type Value<K extends keyof RoleFile> = NonNullable<RoleFile[K]> extends Record<string, infer T> ? T : never;
export type Permission = Item<'overlays'>['permissions'][number];
export type AllowRule = NonNullable<RoleFile['firewall']>['allow'][number];
export interface OverlayUse {
  name: string;
  variables: Record<string, string | number | boolean>;
  permissions: Placed<Permission>[];
}

export interface Draft {
  summary: Entries<string>;
  base: Entries<string>;
  timezone: Entries<string>;
  locale: Entries<string>;
  keymap: Entries<string>;
  variables: Entries<string | number | boolean>;
  packages: Entries<Item<'packages'>>;
  remove: Entries<string>;
  emulate: Entries<string>;
  debs: Entries<string>;
  debconf: Entries<Item<'debconf'>>;
  sources: Entries<Item<'sources'>>;
  npm: Entries<Item<'npm'>>;
  artifacts: Entries<Item<'artifacts'>>;
  overlays: Entries<OverlayUse>;
  files: Entries<Item<'files'>>;
  run: Entries<Item<'run'>>;
  users: Entries<Item<'users'>>;
  groups: Entries<Item<'groups'>>;
  enable: Entries<string>;
  disable: Entries<string>;
  mask: Entries<string>;
  sysctl: Entries<Value<'sysctl'>>;
  load: Entries<string>;
  blacklist: Entries<string>;
  options: Entries<string>;
  /** One entry when there is a firewall at all: a firewall without rules lets nothing in. */
  firewall: Entries<true>;
  allow: Entries<AllowRule>;
  config: Entries<{ filter: string; line: string }>;
  cmdline: Entries<string>;
  provision: Entries<Item<'provision'>>;
  health: Entries<Item<'health'>>;
}

/** One role file as a draft. */
export function toDraft(text: YamlText, role: RoleFile): Draft {
  const root: Place = { text, path: [] };
  const list = <T>(items: readonly T[] | undefined, path: Path, key: (item: T) => string): Entries<T> =>
    new Map((items ?? []).map((value, index) => [key(value), { value, place: within(root, ...path, index) }]));
  const map = <T>(record: Record<string, T> | undefined, ...path: Path): Entries<T> =>
    new Map(Object.entries(record ?? {}).map(([key, value]) => [key, { value, place: within(root, ...path, key) }]));
  const single = <T>(value: T | undefined, key: string): Entries<T> =>
    new Map(value === undefined ? [] : [[key, { value, place: within(root, key) }]]);
  const self = (word: string): string => word;
  const named = (item: { name: string }): string => item.name;
  const folder = dirname(text.file);

  return {
    summary: single(role.summary, 'summary'),
    base: single(role.base, 'base'),
    timezone: single(role.timezone, 'timezone'),
    locale: single(role.locale, 'locale'),
    keymap: single(role.keymap, 'keymap'),
    variables: map(role.variables, 'variables'),
    packages: list(role.packages, ['packages'], named),
    remove: list(role.remove, ['remove'], self),
    emulate: list(role.emulate, ['emulate'], self),
    debs: list(role.debs, ['debs'], (path) => resolve(folder, path)),
    debconf: list(role.debconf, ['debconf'], (answer) => `${answer.package} ${answer.question}`),
    sources: list(role.sources, ['sources'], named),
    npm: list(role.npm, ['npm'], (app) => app.destination),
    artifacts: list(role.artifacts, ['artifacts'], (artifact) => artifact.destination),
    overlays: overlays(root, role),
    files: list(role.files, ['files'], (file) => file.path),
    run: list(role.run, ['run'], named),
    users: list(role.users, ['users'], named),
    groups: list(role.groups, ['groups'], named),
    enable: list(role.units?.enable, ['units', 'enable'], self),
    disable: list(role.units?.disable, ['units', 'disable'], self),
    mask: list(role.units?.mask, ['units', 'mask'], self),
    sysctl: map(role.sysctl, 'sysctl'),
    load: list(role.modules?.load, ['modules', 'load'], self),
    blacklist: list(role.modules?.blacklist, ['modules', 'blacklist'], self),
    options: map(role.modules?.options, 'modules', 'options'),
    firewall: single(role.firewall && true, 'firewall'),
    allow: list(role.firewall?.allow, ['firewall', 'allow'], ({ port, protocol, from }) =>
      canonicalJson({ port, protocol, from }),
    ),
    config: new Map(
      Object.entries(role.config ?? {}).flatMap(([filter, lines]) =>
        lines.map((line, index) => [
          `${filter} ${line}`,
          { value: { filter, line }, place: within(root, 'config', filter, index) },
        ]),
      ),
    ),
    cmdline: list(role.cmdline, ['cmdline'], self),
    provision: list(role.provision, ['provision'], named),
    health: list(role.health, ['health'], (check) => check.name ?? canonicalJson(check)),
  };
}

function overlays(root: Place, role: RoleFile): Entries<OverlayUse> {
  return new Map(
    (role.overlays ?? []).map(({ name, variables, permissions }, index) => {
      const place = within(root, 'overlays', index);
      const placed = permissions.map((value: Permission, at) => ({ value, place: within(place, 'permissions', at) }));
      return [name, { value: { name, variables, permissions: placed }, place }];
    }),
  );
}

/**
 * What `later` says on top of what `earlier` said: entries of the same name are replaced where they stand, new ones
 * go to the end. Whether a package is installed or removed, a unit enabled, disabled or masked, is for the last file
 * that names it to say. Associative.
 */
export function mergeDrafts(earlier: Draft, later: Draft): Draft {
  const merged = Object.fromEntries(
    (Object.keys(earlier) as (keyof Draft)[]).map((key) => [
      key,
      new Map<string, unknown>([...earlier[key], ...later[key]]),
    ]),
  ) as unknown as Draft;
  return {
    ...merged,
    overlays: mergeOverlays(earlier.overlays, later.overlays),
    packages: sorted(join(without(earlier.packages, later.remove), later.packages)),
    remove: sorted(join(without(earlier.remove, later.packages), later.remove)),
    enable: sorted(join(without(earlier.enable, later.disable, later.mask), later.enable)),
    disable: sorted(join(without(earlier.disable, later.enable, later.mask), later.disable)),
    mask: sorted(join(without(earlier.mask, later.enable, later.disable), later.mask)),
  };
}

function join<T>(earlier: Entries<T>, later: Entries<T>): Entries<T> {
  return new Map([...earlier, ...later]);
}

function without<T>(entries: Entries<T>, ...taken: ReadonlyMap<string, unknown>[]): Entries<T> {
  return new Map([...entries].filter(([name]) => !taken.some((names) => names.has(name))));
}

/** Where entries can be taken back and come again, their order would depend on what was merged first. */
function sorted<T>(entries: Entries<T>): Entries<T> {
  return new Map([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** An overlay named again keeps its permissions and variables and gets the later ones on top. */
function mergeOverlays(earlier: Entries<OverlayUse>, later: Entries<OverlayUse>): Entries<OverlayUse> {
  const merged = join(earlier, later);
  for (const [name, { value, place }] of later) {
    const before = earlier.get(name)?.value;
    if (before === undefined) continue;
    const variables = { ...before.variables, ...value.variables };
    merged.set(name, { value: { name, variables, permissions: [...before.permissions, ...value.permissions] }, place });
  }
  return merged;
}
