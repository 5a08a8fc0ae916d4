// Whether a block device, or a partition of it, is mounted.
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';

/**
 * Where the device and its partitions are mounted in this mount namespace; empty when they are not. Only Linux tells: undefined on other
 * systems.
 */
export async function mountPointsOf(device: string): Promise<string[] | undefined> {
  if (process.platform !== 'linux') return undefined;
  const whole = deviceNumber((await stat(device)).rdev);
  const folder = `/sys/dev/block/${whole}`;
  const partitions = (await readdir(folder).catch(() => [])).map((name) =>
    readFile(path.join(folder, name, 'dev'), 'utf8').then(
      // A slash of a name is `!` in sysfs.
      (text) => [text.trim(), `/dev/${name.replaceAll('!', '/')}`],
      () => [],
    ),
  );
  const devices = [whole, await realpath(device), ...(await Promise.all(partitions)).flat()];
  return mountPointsIn(await readFile('/proc/self/mountinfo', 'utf8'), devices);
}

/**
 * proc_pid_mountinfo(5): the third field is the device's number, which of btrfs is of no device; the fifth the mount point, with octal escapes;
 * behind ` - ` are the type and the device's path.
 */
export function mountPointsIn(mountinfo: string, devices: string[]): string[] {
  return mountinfo.split('\n').flatMap((line) => {
    const fields = line.split(' ');
    const source = fields[fields.indexOf('-') + 2] ?? '';
    if (!devices.includes(fields[2] ?? '') && !devices.includes(source)) return [];
    return (fields[4] ?? '').replaceAll(/\\([0-7]{3})/g, (_all, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
  });
}

/** `8:1`, from Linux's layout of a device number: 12 bits of major amid 20 of minor (include/linux/kdev_t.h, new_encode_dev). */
export function deviceNumber(rdev: number): string {
  const major = (rdev >>> 8) & 0xfff;
  const minor = (rdev & 0xff) | ((rdev >>> 12) & 0xfff00);
  return `${major}:${minor}`;
}
