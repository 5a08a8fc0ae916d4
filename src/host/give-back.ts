// Files that a person's command makes as root are the person's.
import { lchown, lstat } from 'node:fs/promises';
import path from 'node:path';

/** sudo(8) tells who has called it. */
function caller(): { uid: number; gid: number } | undefined {
  const [uid, gid] = [Number(process.env['SUDO_UID']), Number(process.env['SUDO_GID'])];
  return process.getuid?.() === 0 && uid > 0 && gid >= 0 ? { uid, gid } : undefined;
}

/**
 * Under sudo, gives what this program has made (a file or a folder) to whoever has called it, if it is root's in a folder of the caller's.
 * That it could not be given is of no matter.
 */
export async function giveBack(made: string): Promise<void> {
  const owner = caller();
  if (owner === undefined) return;
  try {
    const [own, above] = await Promise.all([lstat(made), lstat(path.dirname(path.resolve(made)))]);
    if (own.uid === 0 && above.uid === owner.uid) await lchown(made, owner.uid, owner.gid);
  } catch {
    return;
  }
}
