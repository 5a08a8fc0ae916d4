// Files that a person's command makes as root are the person's.
import { lchown, lstat } from 'node:fs/promises';
import path from 'node:path';

/** sudo(8) tells who has called it. */
function caller(): { uid: number; gid: number } | undefined {
  const [uid, gid] = [Number(process.env['SUDO_UID']), Number(process.env['SUDO_GID'])];
  return process.getuid?.() === 0 && uid > 0 && gid >= 0 ? { uid, gid } : undefined;
}

/**
 * Under sudo, gives a new file to whoever has called it, and the folder it lies in, where these are root's amid what is the caller's.
 * Throws what lchown(2) fails of.
 */
export async function giveBack(file: string): Promise<void> {
  const owner = caller();
  if (owner === undefined) return;
  const folder = path.dirname(path.resolve(file));
  for (const place of [folder, path.join(folder, path.basename(file))]) {
    const [own, above] = await Promise.all([lstat(place), lstat(path.dirname(place))]);
    if (own.uid === 0 && above.uid === owner.uid) await lchown(place, owner.uid, owner.gid);
  }
}
