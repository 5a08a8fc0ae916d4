// Owners and modes for what overlays bring, by patterns over paths in the image.
import type { Permission, Placed } from './draft.ts';
import { issueAt, type Issue } from '../lib/yaml/report.ts';
import type { OverlayEntry } from './resolved.ts';

/** Files of sudoers.d must not be writable by anybody: sudo refuses to work otherwise. */
const SUDOERS_MODE = 0o440;

/** The mode of something nobody gave a mode: independent of the umask with which the files were checked out. */
export function defaultMode(path: string, type: OverlayEntry['type'], executable: boolean): number {
  if (type === 'symlink') return 0o777;
  if (type === 'directory') return 0o755;
  if (path.startsWith('etc/sudoers.d/')) return SUDOERS_MODE;
  return executable ? 0o755 : 0o644;
}

/** A pattern as an expression over paths without a leading slash: `*` and `?` stop at a slash, `**` does not. */
export function globToRegExp(glob: string): RegExp {
  const source = glob
    .replace(/^\//, '')
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(
      /\*\*\/|\*\*|\*|\?/g,
      (wild) => ({ '**/': '(.*/)?', '**': '.*', '*': '[^/]*', '?': '[^/]' })[wild] ?? wild,
    );
  return new RegExp(`^${source}$`);
}

/**
 * Sets owners and modes in place; later permissions win. Modes given by a pattern are for files: one for `/etc/**`
 * must not close the system's own folders; a folder gets a mode by its path. Patterns that match nothing are warned of.
 */
export function applyPermissions(
  entries: OverlayEntry[],
  permissions: Placed<Permission>[],
): { touched: Set<OverlayEntry>; issues: Issue[] } {
  const touched = new Set<OverlayEntry>();
  const issues: Issue[] = [];
  for (const { value, place } of permissions) {
    const pattern = globToRegExp(value.path);
    const isPattern = /[*?]/.test(value.path);
    const matching = entries.filter((entry) => pattern.test(entry.path));
    if (matching.length === 0) {
      issues.push(issueAt(place, `\`${value.path}\` matches nothing in the overlay`, { severity: 'warning' }));
    }
    for (const entry of matching) {
      const takesMode = entry.type === 'file' || (entry.type === 'directory' && !isPattern);
      if (value.mode !== undefined && takesMode) entry.mode = value.mode;
      if (value.owner !== undefined) entry.owner = value.owner;
      if (value.group !== undefined) entry.group = value.group;
      if (!isPattern || value.owner !== undefined || value.group !== undefined) touched.add(entry);
    }
  }
  return { touched, issues };
}
