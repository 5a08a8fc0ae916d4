// Whether a loop device that should be gone is, and who still uses it.
import { readdir, readFile, readlink } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Seconds that others (udev, a program that is just ending) have to close it. */
const PATIENCE = 10;

/** What tells a loop device from the next one of the same name: the kernel counts them. Empty when it is over no file. */
export async function loopIdentity(device: string): Promise<string> {
  const folder = path.join('/sys/block', path.basename(device));
  const files = await readdir(path.join(folder, 'loop')).catch(() => []);
  return files.length === 0 ? '' : (await readFile(path.join(folder, 'diskseq'), 'utf8')).trim();
}

/** Characters of a command that a message shows. */
const LONGEST = 80;

/** Until it is no longer that one. Throws Error with the processes that have it open or mounted after `patience` seconds. */
export async function untilFree(device: string, identity: string, patience = PATIENCE): Promise<void> {
  if (identity === '') return;
  for (const until = Date.now() + patience * 1000; (await loopIdentity(device)) === identity; await sleep(20)) {
    if (Date.now() < until) continue;
    throw new Error(`${device} is still in use ${patience} s later: ${(await usersOf(device)).join('; ')}`);
  }
}

/** `PID COMMAND` of those this user may look at. */
async function usersOf(device: string): Promise<string[]> {
  const users: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const files = await readdir(`/proc/${pid}/fd`).catch(() => []);
    const open = await Promise.all(files.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
    const mounts = await readFile(`/proc/${pid}/mounts`, 'utf8').catch(() => '');
    if (![...open, ...mounts.split(/\s/)].some((word) => isPartOf(device, word))) continue;
    const words = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    users.push(
      `${pid} ${words
        .replaceAll(/[\0\n]/g, ' ')
        .slice(0, LONGEST)
        .trim()}`,
    );
  }
  return users;
}

/** The device or one of its partitions. */
const isPartOf = (device: string, word: string): boolean =>
  word.startsWith(device) && /^(p\d+)?$/.test(word.slice(device.length));
