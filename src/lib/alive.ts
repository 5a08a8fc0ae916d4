// Whether a process is still there: work in progress is named after the process that does it.

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
