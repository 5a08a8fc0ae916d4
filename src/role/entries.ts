// Everything a role writes into the image, in the order in which later files replace earlier ones.
import { nearest } from '../lib/suggest.ts';
import { compileFirewall } from './compile/firewall.ts';
import { compileModules } from './compile/modules.ts';
import { compileSources } from './compile/sources.ts';
import { compileSshKeys } from './compile/ssh-keys.ts';
import { compileSysctl } from './compile/sysctl.ts';
import type { WrittenFile } from './compile/written.ts';
import type { Draft } from './draft.ts';
import { findOverlay, roleName, searchFrom, type RoleSearch } from './find.ts';
import { readOverlay } from './overlay.ts';
import { defaultMode } from './permissions.ts';
import type { Place } from '../lib/yaml/place.ts';
import { issueAt, type Issue } from '../lib/yaml/report.ts';
import type { AptSource, OverlayEntry } from './resolved.ts';

/** An entry and where the role asks for it; `section` when piimg wrote it from a section of the role. */
export interface PlacedEntry {
  entry: OverlayEntry;
  place: Place;
  section?: string;
}

/**
 * All entries of the merged role. `files` are the role files in their order: for each its overlays, then its inline
 * files, so that what a role says stands above what it extends. What piimg writes from sections comes last.
 */
export async function collectEntries(
  merged: Draft,
  files: string[],
  role: { name: string; summary: string },
  sources: AptSource[],
  search: RoleSearch,
): Promise<{ entries: PlacedEntry[]; issues: Issue[] }> {
  const entries: PlacedEntry[] = [];
  const issues: Issue[] = [];
  const variables = Object.fromEntries([...merged.variables].map(([key, { value }]) => [key, value]));

  for (const file of files) {
    for (const { value, place } of merged.overlays.values()) {
      if (place.text.file !== file) continue;
      const { overlayDirs } = searchFrom(file, search);
      const { dir, names } = await findOverlay(value.name, overlayDirs);
      if (dir === undefined) {
        const message = `there is no overlay \`${value.name}\` in ${overlayDirs.join(' or ')}`;
        const suggestion = nearest(value.name, names);
        issues.push(issueAt(place, message, { allowed: names.join(', ') || 'none', suggestion }));
        continue;
      }
      const data = { ...variables, ...value.variables, role };
      const read = await readOverlay({ name: value.name, dir, place, data, permissions: value.permissions });
      entries.push(...read.entries.map((entry) => ({ entry, place })));
      issues.push(...read.issues);
    }
    for (const { value, place } of merged.files.values()) {
      if (place.text.file === file) entries.push({ entry: inlineEntry(value, roleName(file)), place });
    }
  }
  const written = [
    ...[compileSysctl, compileModules, compileFirewall, compileSshKeys].flatMap((compile) => compile(merged)),
    ...compileSources(merged, sources),
  ];
  entries.push(
    ...written.map((file) => ({
      entry: writtenEntry(file, role.name),
      place: file.place,
      section: file.section,
    })),
  );
  return { entries, issues };
}

function inlineEntry(
  file: {
    path: string;
    content: string;
    mode?: number | undefined;
    owner?: string | undefined;
    group?: string | undefined;
  },
  role: string,
): OverlayEntry {
  const path = file.path.slice(1);
  return {
    path,
    type: 'file',
    mode: file.mode ?? defaultMode(path, 'file', false),
    owner: file.owner ?? 'root',
    group: file.group ?? 'root',
    content: file.content,
    from: `role ${role}`,
  };
}

function writtenEntry(
  { path, content, source, mode, owner = 'root', group = 'root' }: WrittenFile,
  role: string,
): OverlayEntry {
  const type = content === undefined && source === undefined ? 'directory' : 'file';
  return {
    path,
    type,
    mode: mode ?? defaultMode(path, type, false),
    owner,
    group,
    ...(content !== undefined && { content }),
    ...(source && { source }),
    from: `role ${role}`,
  };
}
