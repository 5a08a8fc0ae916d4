// Whether a process is still there: work in progress is named after the process that does it.
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';

/** Whether a process of this number runs, whoever it belongs to. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Of names that begin or continue with a process's number (`123-abc`, `web.img.123.part`), those of processes that are gone. */
export function abandoned(names: string[], pattern: RegExp): string[] {
  return names.filter((name) => {
    const pid = pattern.exec(name)?.[1];
    return pid !== undefined && !isAlive(Number(pid));
  });
}

/** Removes files of `folder` whose names begin with `prefix` and end in `.PID.part`, of processes that are gone. */
export async function removeAbandonedParts(folder: string, prefix: string): Promise<void> {
  const own = (await readdir(folder)).filter((file) => file.startsWith(prefix));
  for (const file of abandoned(own, /\.(\d+)\.part$/)) await rm(path.join(folder, file), { force: true });
}
