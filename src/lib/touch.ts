// When something kept was last used: what `cache prune` goes by.
import { utimes } from 'node:fs/promises';

/** Notes that a file or folder is used now. One that is gone, or another's, stays without the note. */
export async function touch(place: string): Promise<void> {
  const now = new Date();
  await utimes(place, now, now).catch(() => {});
}
