// Whether a loop device that should be gone is, and who still uses it.
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../../src/host/exec.ts';
import { asRoot } from '../as-root.ts';

/** Seconds that others (udev, a program that is just ending) have to close it. */
const PATIENCE = 10;

/** What tells a loop device from the next one of the same name: the kernel counts them. Empty when it is over no file. */
export async function loopIdentity(device: string): Promise<string> {
  const folder = path.join('/sys/block', path.basename(device));
  const files = await readdir(path.join(folder, 'loop')).catch(() => []);
  return files.length === 0 ? '' : (await readFile(path.join(folder, 'diskseq'), 'utf8')).trim();
}

/** Until it is no longer that one. Throws Error with the processes that have it open or mounted after `patience` seconds. */
export async function untilFree(device: string, identity: string, patience = PATIENCE): Promise<void> {
  if (identity === '') return;
  for (const until = Date.now() + patience * 1000; (await loopIdentity(device)) === identity; await sleep(20)) {
    if (Date.now() < until) continue;
    throw new Error(`${device} is still in use ${patience} s later: ${(await usersOf(device)).join('; ')}`);
  }
}

/** A line for each process that has it or a partition of it open, and for each mount namespace with it, by one of its processes. */
const USERS = `
disk="$1(p[0-9]+)?"; seen=
for process in /proc/[0-9]*; do
  space=$(readlink "$process/ns/mnt") || continue
  how=
  ! ls -l "$process/fd" | grep -Eq -- "-> $disk$" || how=open
  case $seen in
    *"$space"*) ;;
    *) seen="$seen $space"; ! grep -Eq "^$disk " "$process/mounts" || how="$how mounted" ;;
  esac
  [ -z "$how" ] || echo "$how by \${process#/proc/}: $(tr '\\0\\n' '  ' <"$process/cmdline" | cut -c 1-80)"
done 2>/dev/null`;

/** With root's rights: nobody else may look at everybody's files. */
async function usersOf(device: string): Promise<string[]> {
  const { stdout } = await run(asRoot(['sh', '-c', USERS, 'sh', device]));
  return stdout.trim().split('\n');
}
