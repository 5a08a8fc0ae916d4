// Runs a command and measures it and all that it starts: time, processor time, memory.
import { readdirSync, readFileSync } from 'node:fs';
import { run } from '../../src/host/exec.ts';
import { asRoot } from '../helpers/as-root.ts';

export interface Measured {
  seconds: number;
  /** Seconds of processors, by it and all it has waited for; not the kernel's own threads (loop devices, write-back). */
  cpu: number;
  /** Bytes: resident memory, summed over all its processes at one instant; the largest such sum. What they share counts in each. */
  memory: number;
}

/** Milliseconds between two looks at the memory. */
const INTERVAL = 50;

const TIMED = `TIMEFORMAT='measured: %R %U %S'; time "$@"`;

/** With root's rights; rejects as `run` does when it fails, and after `minutes`. */
export async function measure(
  command: string[],
  { cwd, signal, minutes }: { cwd: string; signal: AbortSignal; minutes: number },
): Promise<Measured> {
  let memory = 0;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(minutes * 60_000)]);
  const running = run(['bash', '-c', TIMED, 'bash', ...asRoot(command)], { cwd, signal: limit });
  const look = setInterval(() => {
    const all = running.pid === undefined ? [] : descendants(running.pid);
    memory = Math.max(
      memory,
      all.reduce((sum, pid) => sum + residentOf(pid), 0),
    );
  }, INTERVAL);
  try {
    const { stderr } = await running;
    const [, seconds, user, system] = /^measured: (\S+) (\S+) (\S+)$/m.exec(stderr) ?? [];
    return { seconds: Number(seconds), cpu: Number(user) + Number(system), memory };
  } finally {
    clearInterval(look);
  }
}

/** Without the process itself: that is the shell which keeps the time. */
function descendants(pid: number): number[] {
  const tasks = attempt(() => readdirSync(`/proc/${pid}/task`)) ?? [];
  const children = tasks.flatMap((task) => {
    const line = attempt(() => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8')) ?? '';
    return line.split(' ').filter(Boolean).map(Number);
  });
  return children.flatMap((child) => [child, ...descendants(child)]);
}

function residentOf(pid: number): number {
  const status = attempt(() => readFileSync(`/proc/${pid}/status`, 'utf8')) ?? '';
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}

/** Processes end while one looks at them. */
function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
