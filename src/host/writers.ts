// Who has a disk open for writing just now.
import { readdir, readFile, readlink } from 'node:fs/promises';
import path from 'node:path';
import { EXIT, PiimgError } from '../lib/errors.ts';
import { run } from './exec.ts';
import { deviceFolder } from './open-disk.ts';

/** Milliseconds: lsof may wait for a file system of a network that is gone. */
const PATIENCE = 20_000;

/** open(2): the access mode's bits in the octal `flags` of proc_pid_fdinfo(5). */
const ACCESS = 0o3;

/** Throws PiimgError (refused) while another process has the disk open for writing. */
export async function requireUnwritten(disk: string): Promise<void> {
  const [writer] = await writersOf(disk);
  if (writer === undefined) return;
  throw new PiimgError(`${disk} is being written by ${writer}`, {
    exitCode: EXIT.refused,
    hint: 'Wait until that is done.',
  });
}

/** Other processes of this user, all for root, as `dd (process 123)`. Partitions count. */
const writersOf = (disk: string): Promise<string[]> =>
  process.platform === 'darwin' ? writersOnMac(disk) : writersOnLinux(disk);

/**
 * By lsof(8), which comes with macOS. `-f --`: the devices themselves, not all files of what is mounted from them. It exits with 1 where
 * nobody has one of them open, and for whatever else it does not find.
 */
async function writersOnMac(disk: string): Promise<string[]> {
  const own = new RegExp(`^r?${path.basename(disk)}(s\\d+)*$`);
  const devices = (await readdir('/dev')).filter((name) => own.test(name)).map((name) => `/dev/${name}`);
  // Without names it would list the whole computer.
  if (devices.length === 0) return [];
  const options = { okCodes: [0, 1], signal: AbortSignal.timeout(PATIENCE) };
  const { stdout } = await run(['lsof', '-w', '-F', 'pca', '-f', '--', ...devices], options);
  return writersIn(stdout, process.pid);
}

/** Of what `lsof -F pca` prints (lsof(8), “Output for other programs”): a line for each field, those of a process before those of its files. */
export function writersIn(text: string, self: number): string[] {
  const processes = text.split(/^p/m).slice(1);
  return processes.flatMap((lines) => {
    const pid = Number.parseInt(lines, 10);
    if (pid === self || !/^a[wu]/m.test(lines)) return [];
    return [`${/^c(.*)/m.exec(lines)?.[1] ?? ''} (process ${pid})`];
  });
}

async function writersOnLinux(disk: string): Promise<string[]> {
  const folder = (await deviceFolder(disk)) ?? '';
  const inside = (await readdir(folder).catch(() => [])).filter((name) => name.startsWith(path.basename(disk)));
  const devices = new Set([disk, ...inside.map((name) => `/dev/${name}`)]);
  const found: string[] = [];
  const processes = (await readdir('/proc').catch(() => [])).filter(
    (name) => /^\d+$/.test(name) && name !== String(process.pid),
  );
  for (const pid of processes) {
    const open = await readdir(`/proc/${pid}/fd`).catch((): string[] => []);
    for (const fd of open) {
      const file = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '');
      if (!devices.has(file)) continue;
      const info = await readFile(`/proc/${pid}/fdinfo/${fd}`, 'utf8').catch(() => '');
      const flags = Number.parseInt(/^flags:\s+(\d+)/m.exec(info)?.[1] ?? '0', 8);
      if ((flags & ACCESS) === 0) continue;
      const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
      found.push(`${name} (process ${pid})`);
      break;
    }
  }
  return found;
}
