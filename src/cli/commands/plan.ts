// `piimg plan`: what a build would do, without doing it.
import type { ProgressKind } from '../../ui/progress.ts';
import { styleFor } from '../../ui/style.ts';
import { formatTable } from '../../ui/table.ts';
import { createContext } from '../context.ts';
import type { PlanOptions } from '../engine-types.ts';
import { print, printJson } from './output.ts';

export interface PlanFlags extends PlanOptions {
  json?: boolean;
  progress: ProgressKind;
}

export async function plan(flags: PlanFlags, signal: AbortSignal): Promise<void> {
  const { json, progress, ...options } = flags;
  const { planRole } = await import('../engine.ts');
  const result = await planRole(options, createContext(signal, progress));
  if (json) return printJson(result.plan);
  const style = styleFor(process.stdout);
  const rows = result.layers.map(({ title, key, cached }) => [
    title,
    style.dim(key.slice(0, 12)),
    cached ? style.green('reused') : style.yellow('to be built'),
  ]);
  print(`${formatTable(rows)}\n\n${result.packages} packages, build id ${result.buildId}`);
}
