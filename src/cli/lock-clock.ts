// The build's clock: the time of a lock, to which the times of files in an image are cut.
import path from 'node:path';
import type { Lock } from '../base/lock.ts';
import { digestOf } from '../lib/digest.ts';
import { PiimgError } from '../lib/errors.ts';
import { writeOnce } from '../lib/write-once.ts';
import { writeWhole } from '../lib/write-whole.ts';

/**
 * What holds the build's clock, in whole seconds: when these packages were first resolved here. Roles whose locks are made on different days
 * from the same packages thus share the base's layers, whose files carry that time.
 */
export function clockFile(
  { essential, basePackages, image }: Pick<Lock, 'essential' | 'basePackages'> & { image?: Lock['image'] },
  cacheDir: string,
): string {
  return path.join(cacheDir, 'bases', digestOf({ essential, basePackages, image: image?.sha256 }));
}

/** What `file` says, or writes `now` there: also over a time of the future, when this computer's clock was ahead. */
export async function readClock(file: string, now: string): Promise<string> {
  const created = await writeOnce(file, now);
  if (isPast({ created })) return created;
  await writeWhole(file, now);
  return now;
}

/** What a step writes gets this computer's time, cut to the lock's where it is later: a clock behind the lock's would show in the image. */
export function requirePast(file: string, { created }: Lock): void {
  if (isPast({ created })) return;
  throw new PiimgError(`${file} is of ${created}, and this computer's clock says ${new Date().toISOString()}`, {
    hint: 'Set the clock (timedatectl set-ntp true). If it is right, the lock was made where it was not: `piimg update` makes it anew.',
  });
}

/** Whether this computer's clock has reached it. */
export const isPast = ({ created }: Pick<Lock, 'created'>): boolean => Date.parse(created) <= Date.now();
