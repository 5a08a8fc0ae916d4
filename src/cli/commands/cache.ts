// `piimg cache ls|prune|verify`: what the cache holds, makes room, and proves it whole.
import { EXIT } from '../../lib/errors.ts';
import type { ProgressKind } from '../../ui/progress.ts';
import { formatBytes } from '../../lib/bytes.ts';
import { formatTable } from '../../ui/table.ts';
import { createContext } from '../context.ts';
import type { CacheEntry } from '../engine-types.ts';
import { print, printJson } from './output.ts';

export async function list(flags: { json?: boolean }, signal: AbortSignal): Promise<void> {
  const { listCache } = await import('../caching.ts');
  const context = createContext(signal);
  const entries = await listCache(context);
  if (flags.json) return printJson(entries);
  const total = entries.reduce((sum, { size }) => sum + size, 0);
  print(formatEntries(entries));
  print(`${entries.length} entries, ${formatBytes(total)} in ${context.cacheDir}`);
}

export async function prune(flags: { days: number; json?: boolean }, signal: AbortSignal): Promise<void> {
  const { pruneCache } = await import('../caching.ts');
  const result = await pruneCache(flags.days, createContext(signal));
  if (flags.json) return printJson(result);
  print(formatEntries(result.removed));
  print(`${result.removed.length} entries removed, ${formatBytes(result.freed)} freed`);
}

/** Exits with 1 when something is damaged. */
export async function verify(flags: { json?: boolean; progress: ProgressKind }, signal: AbortSignal): Promise<void> {
  const { verifyCache } = await import('../caching.ts');
  const { checked, damaged } = await verifyCache(createContext(signal, flags.progress));
  if (damaged.length > 0) process.exitCode = EXIT.failed;
  if (flags.json) return printJson({ checked, damaged });
  print(damaged.map(({ path, reason }) => `damaged: ${path}: ${reason}`).join('\n'));
  print(
    `${checked} entries read, ${damaged.length} damaged${damaged.length > 0 ? '; the next build makes them anew' : ''}`,
  );
}

function formatEntries(entries: CacheEntry[]): string {
  const row = ({ kind, key, size, used, title }: CacheEntry) => [
    kind,
    key.slice(0, 12),
    formatBytes(size),
    used.slice(0, 10),
    title,
  ];
  return formatTable(entries.map(row), [2]);
}
