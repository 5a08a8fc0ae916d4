// Between two measurements: what the one leaves behind is not paid for by the other.
import { setTimeout as pause } from 'node:timers/promises';
import { run } from '../../src/host/exec.ts';

/**
 * ext4 without a journal gives no inode out again for a minute after its file was removed, and passes over each of them for
 * every new file (RECENTCY_MIN in the kernel's fs/ext4/ialloc.c; five minutes more while that is not on the disk): a build
 * right after thousands of files were removed took a third longer.
 */
const RECENTLY_REMOVED = 61_000;

/** Waits until nothing is left to be written to the disk, and nothing counts as just removed. */
export async function settle(): Promise<void> {
  await run(['sync']);
  await pause(RECENTLY_REMOVED);
}
