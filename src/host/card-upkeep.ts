// What is done to a disk around writing it: unmounted and emptied before, looked at again afterwards.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT, PiimgError } from '../lib/errors.ts';
import { run } from './exec.ts';
import { mountPointsOf } from './mounted.ts';
import { findProgram } from './requirements.mjs';
import { deviceFolder } from './open-disk.ts';

/** Unmounts all that is mounted of a disk, what was mounted last first. Throws PiimgError (refused) when something keeps it busy. */
export async function unmountDisk(disk: string, signal: AbortSignal): Promise<void> {
  if (process.platform === 'darwin') {
    await run(['diskutil', 'unmountDisk', disk], { signal }).catch((error: unknown) => {
      throw busy(disk, disk, error);
    });
    return;
  }
  for (const place of ((await mountPointsOf(disk)) ?? []).toReversed()) {
    await run(['umount', place], { signal }).catch((error: unknown) => {
      throw busy(disk, place, error);
    });
  }
}

function busy(disk: string, place: string, cause: unknown): PiimgError {
  const { detail } = cause as PiimgError;
  return new PiimgError(`${disk} is mounted at ${place}, and cannot be unmounted`, {
    exitCode: EXIT.refused,
    ...(detail && { detail }),
    hint: 'Close what is open there (lsof shows it), then run the command again.',
    cause,
  });
}

/** `untouched` where a disk cannot be told to forget; `zeroed` where it refused after all. */
export type Discarded = 'untouched' | 'zeroed' | 'discarded';

/**
 * Tells a disk that nothing on it is needed any more, where it can be told so. Its first `head` bytes are zeroed before: some take a discard
 * and keep what they hold, which must not boot. `fd` is the disk, open for this process alone: by that it is the very one, whatever has been
 * put in under the same name.
 */
export async function discardDisk(disk: string, fd: number, head: number, signal: AbortSignal): Promise<Discarded> {
  const folder = await deviceFolder(disk);
  if (folder === undefined || findProgram('blkdiscard') === undefined) return 'untouched';
  // Documentation/ABI/stable/sysfs-block: 0 where the device does not take it.
  const most = await readFile(`${folder}/queue/discard_max_bytes`, 'utf8').catch(() => '0');
  if (Number(most) === 0) return 'untouched';
  const opened = `/proc/${process.pid}/fd/${fd}`;
  // Not blkdiscard --zeroout: a disk may take that as lightly as a discard.
  const zero = ['dd', 'if=/dev/zero', `of=${opened}`, `bs=${head}`, 'count=1', 'oflag=direct', 'conv=notrunc,fsync'];
  const refused = (to: Discarded) => (error: unknown) => {
    if (signal.aborted) throw error;
    return to;
  };
  const zeroed = await run([...zero, 'status=none'], { signal }).then(() => 'zeroed' as const, refused('untouched'));
  signal.throwIfAborted();
  if (zeroed !== 'zeroed') return zeroed;
  // --force: without, it would want it for itself alone.
  return run(['blkdiscard', '--force', opened], { signal }).then(() => 'discarded' as const, refused('zeroed'));
}

/** What Linux tells of a disk's queue. */
export interface DiskQueue {
  /** KiB of the longest request (Documentation/ABI/stable/sysfs-block, max_sectors_kb). */
  request: number;
  /** Requests that may be under way: of SCSI devices queue_depth, 1 for USB readers that are no UAS; of others what the kernel keeps ready for them (nr_requests). */
  depth: number;
  /** Bytes, 0 where it does not matter (optimal_io_size). */
  optimal: number;
}

/** Bytes: `dd bs=4M` is what cards are written with. */
const LONGEST = 4 << 20;

/** Bytes of a write that keep all of a disk busy: the kernel cuts it into as many requests as the disk takes at once. */
export const fittedBlock = ({ request, depth, optimal }: DiskQueue): number =>
  Math.min(LONGEST, Math.max(request * 1024 * depth, optimal));

/** Undefined where the system does not tell. */
export async function queueOf(disk: string): Promise<DiskQueue | undefined> {
  const folder = await deviceFolder(disk);
  if (folder === undefined) return undefined;
  const told = async (name: string): Promise<number> =>
    Number(await readFile(`${folder}/${name}`, 'utf8').catch(() => 0));
  return {
    request: await told('queue/max_sectors_kb'),
    depth: (await told('device/queue_depth')) || (await told('queue/nr_requests')),
    optimal: await told('queue/optimal_io_size'),
  };
}

/**
 * Has the system look at the new partition table: of no matter when it cannot, a card is taken out now. What a desktop then mounts is unmounted
 * again: it would not be safe to take out.
 */
export async function rescanDisk(disk: string): Promise<void> {
  if (process.platform !== 'linux') return;
  const signal = AbortSignal.timeout(10_000);
  await run(['blockdev', '--rereadpt', disk], { signal }).catch(() => {});
  if (!existsSync(UDISKS)) return;
  for (const until = Date.now() + MOUNTED_WITHIN; Date.now() < until; await sleep(100)) {
    if (((await mountPointsOf(disk).catch(() => [])) ?? []).length === 0) continue;
    await unmountDisk(disk, signal).catch(() => {});
  }
}

/** Is there while udisks is at work, by which desktops mount (udisks(8)). */
const UDISKS = '/run/udisks2';

/** Milliseconds in which a desktop has mounted what it is told of. */
const MOUNTED_WITHIN = 3000;
