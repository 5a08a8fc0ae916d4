// From the name of a role to everything its image needs: load, merge, read its files, check the rules.
import { dirname, resolve } from 'node:path';
import { compileUser } from './compile/users.ts';
import { impliedPackages, impliedUnits } from './compile/implied.ts';
import { loadChain } from './chain.ts';
import { mergeDrafts, toDraft, type Draft, type Entries } from './draft.ts';
import { collectEntries, type PlacedEntry } from './entries.ts';
import { roleFileOf, roleName, searchFrom, type RoleSearch } from './find.ts';
import { definedNames } from '../lib/yaml/named.ts';
import { nearest } from '../lib/suggest.ts';
import { readNpmApp } from './npm.ts';
import { within, type Place } from '../lib/yaml/place.ts';
import { issueAt, reportError, sortIssues, type Issue } from '../lib/yaml/report.ts';
import type { AptSource, ConfigSection, NpmApp, OverlayEntry, ResolvedRole, SourceFile } from './resolved.ts';
import { checkRules } from './rules.ts';
import { sourceFile } from './source-file.ts';

const DEFAULTS = { base: 'debian-trixie', timezone: 'Etc/UTC', locale: 'C.UTF-8', keymap: 'us' };

/** What the rules must know of a base. */
interface BaseFacts {
  name: string;
  /** Absent where only the image that it is knows them. */
  archives?: { name: string }[];
}
/** How bases are read; `name` stands in for what the role says. */
export interface Bases<B extends BaseFacts = BaseFacts> {
  load: (name: string, dirs: string[]) => Promise<B>;
  name?: string | undefined;
}

export interface Resolution<B extends BaseFacts> {
  role: ResolvedRole;
  base: B;
  /** Every entry with the place where it was written, for what can only be checked later. */
  written: Draft;
  warnings: Issue[];
}

/**
 * A role by name or by file, with all it extends and mixes in merged and all its files read, and its base.
 * Throws a PiimgError (usage) that carries the whole report when there are errors; warnings are given back.
 */
export async function resolveRole<B extends BaseFacts>(
  nameOrFile: string,
  from: RoleSearch,
  bases: Bases<B>,
): Promise<Resolution<B>> {
  const file = await roleFileOf(nameOrFile, from);
  const search = searchFrom(file, from);
  const name = roleName(file);
  const { chain, issues } = await loadChain(file, search);
  const files = chain.flatMap(({ text, role }) => (role === undefined ? [] : [{ text, role }]));
  const drafts = files.map(({ text, role }) => toDraft(text, role));
  const [first, ...others] = drafts;
  // One faulty file makes what is said about the merged role guesswork.
  if (first === undefined || issues.length > 0) throw reportError(`Role ${name}`, issues);
  const merged = others.reduce(mergeDrafts, first);
  const summary = valueOf(merged.summary, '');

  const { base, issues: baseIssues } = await readBase(merged, search, bases);
  const { sources, debs, apps, issues: sourceIssues } = await readSources(merged);
  const { entries, issues: fileIssues } = await collectEntries(
    merged,
    files.map(({ text }) => text.file),
    { name, summary },
    sources,
    search,
  );
  const archives = (base?.archives ?? []).map((archive) => archive.name);
  const all = [...baseIssues, ...fileIssues, ...sourceIssues, ...checkRules({ files, merged, entries, archives })];
  if (base === undefined || all.some(({ severity }) => severity === 'error')) throw reportError(`Role ${name}`, all);

  const locale = valueOf(merged.locale, DEFAULTS.locale);
  const keymap = valueOf(merged.keymap, DEFAULTS.keymap);
  const role: ResolvedRole = {
    version: 1,
    name,
    summary,
    base: bases.name ?? valueOf(merged.base, DEFAULTS.base),
    sources: await Promise.all(files.map(({ text }) => sourceFile(text.file))),
    variables: Object.fromEntries([...merged.variables].map(([key, { value }]) => [key, value])),
    packages: packages(merged, locale, keymap),
    removePackages: [...merged.remove.keys()],
    emulate: [...merged.emulate.keys()],
    debs,
    debconf: values(merged.debconf),
    aptSources: sources,
    npm: apps,
    artifacts: values(merged.artifacts).map(({ owner = 'root', group = 'root', ...artifact }) => ({
      ...artifact,
      owner,
      group,
    })),
    files: lastOfEachPath(entries),
    run: values(merged.run),
    users: values(merged.users).map((user) => compileUser(user, merged.groups)),
    groups: values(merged.groups).map(({ gid, ...group }) => ({ ...group, ...(gid !== undefined && { gid }) })),
    units: {
      enable: [...new Set([...merged.enable.keys(), ...impliedUnits(merged)])].sort(),
      disable: [...merged.disable.keys()],
      mask: [...merged.mask.keys()],
    },
    config: configSections(merged),
    cmdline: [...merged.cmdline.keys()],
    timezone: valueOf(merged.timezone, DEFAULTS.timezone),
    locale,
    keymap,
    provision: values(merged.provision),
    health: values(merged.health),
  };
  return { role, base, written: merged, warnings: sortIssues(all) };
}

/** The base; an unknown name that a role gives is an issue there. */
async function readBase<B extends BaseFacts>(
  { base }: Draft,
  search: RoleSearch,
  { load, name }: Bases<B>,
): Promise<{ base?: B; issues: Issue[] }> {
  const [written] = name === undefined ? base.values() : [];
  if (written === undefined) return { base: await load(name ?? DEFAULTS.base, search.baseDirs), issues: [] };
  const { baseDirs } = searchFrom(written.place.text.file, search);
  const known = await definedNames(baseDirs);
  if (known.includes(written.value)) return { base: await load(written.value, baseDirs), issues: [] };
  const message = `there is no base \`${written.value}\` in ${baseDirs.join(' or ')}`;
  const suggestion = nearest(written.value, known);
  return { issues: [issueAt(written.place, message, { allowed: known.join(', ') || 'none', suggestion })] };
}

function values<T>(entries: Entries<T>): T[] {
  return [...entries.values()].map(({ value }) => value);
}

/** The one value of a single field. */
function valueOf(entries: Entries<string>, otherwise: string): string {
  return values(entries)[0] ?? otherwise;
}

function packages(merged: Draft, locale: string, keymap: string): ResolvedRole['packages'] {
  const implied = impliedPackages(merged, locale, keymap).filter((name) => !merged.packages.has(name));
  return [...values(merged.packages), ...implied.map((name) => ({ name }))].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function lastOfEachPath(entries: PlacedEntry[]): OverlayEntry[] {
  const last = new Map(entries.map(({ entry }) => [entry.path, entry]));
  return [...last.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function configSections({ config }: Draft): ConfigSection[] {
  const sections = new Map<string, string[]>();
  for (const { filter, line } of values(config)) sections.set(filter, [...(sections.get(filter) ?? []), line]);
  return [...sections].map(([filter, lines]) => ({ filter, lines }));
}

/** Files beside the role file: keyrings, .deb files, applications. */
async function readSources(
  merged: Draft,
): Promise<{ sources: AptSource[]; debs: SourceFile[]; apps: NpmApp[]; issues: Issue[] }> {
  const issues: Issue[] = [];
  const read = async (path: string, place: Place): Promise<SourceFile[]> => {
    const full = resolve(dirname(place.text.file), path);
    try {
      return [await sourceFile(full)];
    } catch (error) {
      issues.push(issueAt(place, `${full} cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`));
      return [];
    }
  };
  const debs: SourceFile[] = [];
  for (const { value, place } of merged.debs.values()) debs.push(...(await read(value, place)));
  const sources: AptSource[] = [];
  for (const { value, place } of merged.sources.values()) {
    const [keyring] = await read(value.keyring, within(place, 'keyring'));
    if (keyring !== undefined) sources.push({ ...value, keyring });
  }
  const apps: NpmApp[] = [];
  for (const request of merged.npm.values()) {
    const { app, issues: found } = await readNpmApp(request);
    if (app !== undefined) apps.push(app);
    issues.push(...found);
  }
  return { sources, debs, apps, issues };
}
