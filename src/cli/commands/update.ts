// `piimg update`: resolves packages again, writes the lock and prints the difference.
import type { ProgressKind } from '../../ui/progress.ts';
import { styleFor, type Style } from '../../ui/style.ts';
import { createContext } from '../context.ts';
import type { UpdateOptions, UpdateResult } from '../engine-types.ts';
import { formatPackageChanges } from './changes.ts';
import { print, printJson } from './output.ts';

export type UpdateFlags = UpdateOptions & {
  json?: boolean;
  progress: ProgressKind;
};

export async function update(flags: UpdateFlags, signal: AbortSignal): Promise<void> {
  const { json, progress, ...options } = flags;
  const { updateLock } = await import('../engine.ts');
  const result = await updateLock(options, createContext(signal, progress));
  if (json) return printJson(result);
  print(formatUpdate(result, styleFor(process.stdout)));
}

/** What changed, of the image first; what only helps to build it has a heading of its own. */
export function formatUpdate(result: UpdateResult, style: Style): string {
  const { lockPath, image, packages, tools, buildPackages } = result;
  const imageChange = image ? [`image: ${image.from === undefined ? '' : `${image.from} → `}${image.to}`] : [];
  const parts = [
    ['', packages],
    ['native tools, no part of the image:\n', tools],
    ['packages for compiling npm add-ons, no part of the image:\n', buildPackages],
  ] as const;
  const changed = parts.flatMap(([heading, changes]) => {
    const text = formatPackageChanges(changes, style);
    return text === '' ? [] : [`${heading}${text}`];
  });
  const all = [...imageChange, ...changed];
  return all.length === 0 ? `Nothing changed: ${lockPath}` : [...all, `written: ${lockPath}`].join('\n\n');
}
