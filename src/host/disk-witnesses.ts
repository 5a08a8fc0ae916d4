// What else than the lister tells which disks there are and what lies on them: to check it by.
import { readFile, realpath, stat } from 'node:fs/promises';
import { run } from './exec.ts';

/** Something mounted. */
export interface Mounted {
  /** `/dev/sda1`; of what is no disk something else, like `tmpfs` or `//user@server/share`. */
  source: string;
  place: string;
}

/** What is mounted here, by the kernel's list or `mount`; what the last line covers comes before it. Throws PiimgError. */
export async function mountsNow(): Promise<Mounted[]> {
  if (process.platform === 'linux') return parseMountinfo(await readFile('/proc/self/mountinfo', 'utf8'));
  return parseMount((await run(['mount'], { signal: AbortSignal.timeout(20_000) })).stdout);
}

/** proc_pid_mountinfo(5): the fifth field is the mount point; behind a dash come the type and the source. Octal escapes in both. */
export function parseMountinfo(text: string): Mounted[] {
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const fields = line.split(' ');
      return { place: plain(fields[4] ?? ''), source: plain(fields[fields.indexOf('-', 6) + 2] ?? '') };
    });
}

const plain = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** mount(8) of macOS: `/dev/disk4s1 on /Volumes/NO NAME (msdos, local)`. */
export function parseMount(text: string): Mounted[] {
  return text.split('\n').flatMap((line) => {
    const [, source, place] = /^(.*?) on (\/.*) \([^()]*\)$/.exec(line) ?? [];
    return source === undefined || place === undefined ? [] : [{ source, place }];
  });
}

/** What is mounted, by node-disk-info (`df`): it ends a name at a blank. Empty where it cannot tell. */
export async function dfMounts(): Promise<Mounted[]> {
  // It brings tables of character sets, which every flash would wait for.
  const { getDiskInfo } = await import('./df.ts');
  const drives = await getDiskInfo().catch(() => []);
  return drives.map(({ filesystem, mounted }) => ({ source: filesystem, place: mounted }));
}

/** What is swapped to, by the kernel: partitions and files, on macOS the beginning of their names. */
export async function swapNow(): Promise<string[]> {
  if (process.platform === 'linux') {
    const [, ...lines] = (await readFile('/proc/swaps', 'utf8').catch(() => '')).split('\n');
    return lines.filter(Boolean).map((line) => plain(line.split(/\s+/)[0] ?? ''));
  }
  const options = { okCodes: [0, 1], signal: AbortSignal.timeout(20_000) };
  const { stdout } = await run(['sysctl', '-n', 'vm.swapfileprefix'], options);
  return stdout.trim() === '' ? [] : [stdout.trim()];
}

/** Whether it is a device that can be asked about, not one that a container only knows the name of. */
export const isBlockDevice = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isBlockDevice() ?? false;

/** Where the folder one is in really is. */
export const folderNow = (): Promise<string> => realpath(process.cwd());
