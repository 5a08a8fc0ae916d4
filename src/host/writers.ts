// Who has a disk open for writing just now.
import { readdir, readFile, readlink } from 'node:fs/promises';

/** open(2): the access mode's bits in the octal `flags` of proc_pid_fdinfo(5). */
const ACCESS = 0o3;

/** Processes of this user, all for root, as `dd (process 123)`; empty on systems without /proc. */
export async function writersOf(disk: { path: string; partitions: { path: string }[] }): Promise<string[]> {
  const devices = new Set([disk.path, ...disk.partitions.map(({ path }) => path)]);
  const found: string[] = [];
  const processes = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  for (const process of processes) {
    const open = await readdir(`/proc/${process}/fd`).catch((): string[] => []);
    for (const fd of open) {
      const file = await readlink(`/proc/${process}/fd/${fd}`).catch(() => '');
      if (!devices.has(file)) continue;
      const info = await readFile(`/proc/${process}/fdinfo/${fd}`, 'utf8').catch(() => '');
      const flags = Number.parseInt(/^flags:\s+(\d+)/m.exec(info)?.[1] ?? '0', 8);
      if ((flags & ACCESS) === 0) continue;
      const name = (await readFile(`/proc/${process}/comm`, 'utf8').catch(() => '')).trim();
      found.push(`${name} (process ${process})`);
      break;
    }
  }
  return found;
}
