// `piimg shell`: a shell, or one command, in the built system of a role.
import { createContext } from '../context.ts';
import type { PlanOptions } from '../engine-types.ts';

/** Exits with what the command exits with. */
export async function shell(command: string[], options: PlanOptions, signal: AbortSignal): Promise<void> {
  const { openShell } = await import('../engine.ts');
  process.exitCode = await openShell({ ...options, command }, createContext(signal));
}
