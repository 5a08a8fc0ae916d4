// Differences as text: `+` added, `-` removed, `~` changed.
import type { Style } from '../../ui/style.ts';
import { formatTable } from '../../ui/table.ts';
import type { FileChanges, PackageChanges } from '../engine-types.ts';

/** Packages, one a line with versions; empty when nothing differs. */
export function formatPackageChanges({ added, removed, changed }: PackageChanges, style: Style): string {
  return formatTable([
    ...added.map(({ name, version }) => [style.green(`+ ${name}`), version]),
    ...removed.map(({ name, version }) => [style.red(`- ${name}`), version]),
    ...changed.map(({ name, from, to }) => [style.yellow(`~ ${name}`), `${from} -> ${to}`]),
  ]);
}

/** Files, one a line; empty when nothing differs. */
export function formatFileChanges({ added, removed, changed, onlyTime }: FileChanges, style: Style): string {
  return [
    ...added.map((file) => style.green(`+ ${file}`)),
    ...removed.map((file) => style.red(`- ${file}`)),
    ...changed.map((file) => style.yellow(`~ ${file}`)),
    ...(onlyTime.length > 0 ? [`${onlyTime.length} more differ in their time only`] : []),
  ].join('\n');
}
