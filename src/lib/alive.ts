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

/**
 * Removes what was to become one of `names` in `folder` (`NAME.PID.part`, `NAME.RANDOM.PID.part`, a file or a folder) for processes that
 * are gone. Without `names`, of any name: for a folder in which everything is piimg's.
 */
export async function removeAbandonedParts(folder: string, names?: readonly string[]): Promise<void> {
  const part = /(?:\.[0-9a-f]{8})?\.(\d+)\.part$/;
  const own = (await readdir(folder)).filter((file) => names?.includes(file.replace(part, '')) ?? true);
  for (const file of abandoned(own, part)) await rm(path.join(folder, file), { recursive: true, force: true });
}
