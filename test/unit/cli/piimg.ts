// Runs the command line as a process of its own.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { run, type RunResult } from '../../../src/host/exec.ts';
import { piimgCommand } from '../../helpers/command.ts';

const EVERY_CODE = Array.from({ length: 256 }, (_, code) => code);

/** What `piimg ARGS` prints and exits with; no colours, 80 columns, at most a minute. */
export function piimg(
  args: string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<RunResult> {
  return run([...piimgCommand(), ...args], {
    ...options,
    env: { FORCE_COLOR: '0', ...options.env },
    okCodes: EVERY_CODE,
    signal: AbortSignal.timeout(60_000),
  });
}

/** Lends a new folder for the time of `work`. */
export async function withFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-test-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
