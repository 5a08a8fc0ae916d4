// How busy a machine's processors are: what tells a slow machine from one that hangs.
import { readFile } from 'node:fs/promises';
import type { Qmp } from './qmp.ts';

/** Threads of QEMU that are the machine's processors; one for all where QEMU runs them in turns. */
export async function processorThreads(qmp: Qmp): Promise<number[]> {
  const cpus = (await qmp('query-cpus-fast')) as { 'thread-id': number }[];
  return [...new Set(cpus.map((cpu) => cpu['thread-id']))];
}

/**
 * Seconds since their start that threads ran, or wanted to while other processes had the host's processors or a limit held them
 * back: the first two numbers of /proc/PID/task/TID/schedstat (Linux, Documentation/scheduler/sched-stats.rst). Undefined where
 * there is no such file, or no thread is known.
 */
export async function busySeconds(pid: number, threads: number[]): Promise<number | undefined> {
  if (threads.length === 0) return undefined;
  try {
    const files = await Promise.all(threads.map((tid) => readFile(`/proc/${pid}/task/${tid}/schedstat`, 'utf8')));
    const nanoseconds = files.flatMap((text) => text.split(' ').slice(0, 2).map(Number));
    return nanoseconds.reduce((sum, value) => sum + value, 0) / 1e9;
  } catch {
    return undefined;
  }
}
