// Who has a disk open for writing just now.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT, PiimgError } from '../lib/errors.ts';
import { run } from './exec.ts';
import { deviceFolder } from './open-disk.ts';

/** Milliseconds: lsof may wait for a file system of a network that is gone. */
const PATIENCE = 20_000;

/** open(2): the access mode's bits in the octal `flags` of proc_pid_fdinfo(5). */
const ACCESS = 0o3;

/**
 * Throws PiimgError (refused) while another process has the disk open for writing. With `opened`, which takes a moment, it is asked also
 * whether it gets data: root's processes are not to be looked at by an ordinary user who may open disks.
 */
export async function requireUnwritten(disk: string, { opened = false } = {}): Promise<void> {
  const [known] = await writersOf(disk);
  const writer = known ?? (opened && (await isBeingWritten(disk)) ? 'somebody else’s process' : undefined);
  if (writer === undefined) return;
  throw new PiimgError(`${disk} is being written by ${writer}`, {
    exitCode: EXIT.refused,
    hint: 'Wait until that is done.',
  });
}

/** Milliseconds between two looks. What is in memory only until then is not seen. */
const LOOK = 400;

/** Whether the disk gets data just now. Root need not ask so. */
async function isBeingWritten(disk: string): Promise<boolean> {
  if (process.platform !== 'linux' || process.getuid?.() === 0) return false;
  const before = await diskStat(disk);
  await sleep(LOOK);
  const after = await diskStat(disk);
  // A slow card may take longer for one request: then it is under way.
  return before.written !== after.written || [before, after].every(({ underWay }) => underWay > 0);
}

/** Sectors written so far, and requests under way: fields 7 and 9 (Documentation/block/stat.rst). Undefined and 0 where the system does not tell. */
async function diskStat(disk: string): Promise<{ written: string | undefined; underWay: number }> {
  const folder = await deviceFolder(disk);
  const text = folder === undefined ? '' : await readFile(`${folder}/stat`, 'utf8').catch(() => '');
  const fields = text.trim().split(/\s+/);
  return { written: fields[6], underWay: Number(fields[8] ?? 0) };
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

/** At once: a computer has thousands of open files, and each of them by itself would take its turn in Node's pool of threads. */
async function writersOnLinux(disk: string): Promise<string[]> {
  const folder = (await deviceFolder(disk)) ?? '';
  const inside = (await readdir(folder).catch(() => [])).filter((name) => name.startsWith(path.basename(disk)));
  const devices = new Set([disk, ...inside.map((name) => `/dev/${name}`)]);
  const others = there(() => readdirSync('/proc'), []).filter(
    (pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid,
  );
  return others
    .filter((pid) => there(() => readdirSync(`/proc/${pid}/fd`), []).some((fd) => writes(pid, fd, devices)))
    .map((pid) => `${there(() => readFileSync(`/proc/${pid}/comm`, 'utf8'), '').trim()} (process ${pid})`);
}

function writes(pid: string, fd: string, devices: Set<string>): boolean {
  if (!devices.has(there(() => readlinkSync(`/proc/${pid}/fd/${fd}`), ''))) return false;
  const info = there(() => readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'), '');
  const flags = Number.parseInt(/^flags:\s+(\d+)/m.exec(info)?.[1] ?? '0', 8);
  return (flags & ACCESS) !== 0;
}

/** What is asked, or `otherwise` of a process that has ended meanwhile, or is somebody else's. */
function there<T>(ask: () => T, otherwise: T): T {
  try {
    return ask();
  } catch {
    return otherwise;
  }
}
