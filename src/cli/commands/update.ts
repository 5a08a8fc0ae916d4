// `piimg update`: resolves packages again, writes the lock and prints the difference.
import type { ProgressKind } from '../../ui/progress.ts';
import { styleFor } from '../../ui/style.ts';
import { createContext } from '../context.ts';
import type { UpdateOptions } from '../engine-types.ts';
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
  const changes = formatPackageChanges(result.packages, styleFor(process.stdout));
  print(changes === '' ? `Nothing changed: ${result.lockPath}` : `${changes}\n\nwritten: ${result.lockPath}`);
}
