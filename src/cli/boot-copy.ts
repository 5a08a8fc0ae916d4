// The sparse copy of a boot partition: files added, named and removed in it by mtools, and looked over by fsck.vfat.
import { writeFile, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../host/exec.ts';
import { findInFat, openFat } from '../image/fat.ts';
import type { ReadAt } from '../image/ranges.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { Edit } from '../seed/formats/edits.ts';

/** A sparse file in which the boot partition begins at byte 0. */
export interface Copy {
  file: string;
  handle: FileHandle;
}

const mtools = (command: string[]): Promise<unknown> =>
  // Of any size and geometry: mtools' checks of these are of floppy disks.
  run(command, { env: { MTOOLS_SKIP_CHECK: '1', LC_ALL: 'C.UTF-8' } });

/** No other file of a boot partition is called so, and no computer ever sees them. */
const newName = (index: number): string => `piimg${index}.new`;

/** Adds the new contents, under names that nothing reads. */
export async function addFiles(disk: string, folder: string, edits: Edit[]): Promise<void> {
  const files: string[] = [];
  for (const [index, edit] of edits.entries()) {
    if (!('content' in edit)) continue;
    files.push(path.join(folder, newName(index)));
    await writeFile(files.at(-1) ?? '', edit.content, { mode: 0o600 });
  }
  if (files.length > 0) await mtools(['mcopy', '-i', disk, ...files, '::/']);
}

/**
 * A file that is there keeps its slot: it takes over the clusters of the new one, which gets its own, and is removed with them. A slot lies
 * in one sector, and so is one or the other, and never neither.
 */
export async function giveNames({ file, handle }: Copy, read: ReadAt, offset: number, edits: Edit[]): Promise<void> {
  const now = await openFat(read, offset);
  const gone: string[] = [];
  for (const [index, edit] of edits.entries()) {
    const old = await findInFat(now, edit.path);
    const added = 'content' in edit ? await findInFat(now, newName(index)) : undefined;
    if (old !== undefined && added !== undefined) {
      const [to, from] = [await read(old.slot, SLOT), await read(added.slot, SLOT)];
      await handle.write(from, SWAPPED, SLOT - SWAPPED, old.slot + SWAPPED - offset);
      await handle.write(to, SWAPPED, SLOT - SWAPPED, added.slot + SWAPPED - offset);
      gone.push(newName(index));
    } else if (added !== undefined) {
      await mtools(['mren', '-i', file, `::${newName(index)}`, `::${edit.path}`]);
    } else if (old !== undefined) {
      // What is read-only mdel would ask about.
      await mtools(['mattrib', '-i', file, '-r', `::${edit.path}`]);
      gone.push(edit.path);
    }
  }
  if (gone.length > 0) await mtools(['mdel', '-i', file, ...gone.map((name) => `::${name}`)]);
}

/** From there to its end a slot has first cluster, time and day of the last change, and size ("FAT: General Overview", version 1.03). */
const SLOT = 32;
const SWAPPED = 20;

/** fsck.vfat(8): exit status 1 is an error in the file system, with -n too. Contents of files it does not read. */
export async function check(copy: string, what: string, when: 'before' | 'after'): Promise<void> {
  const { exitCode, stdout } = await run(['fsck.vfat', '-n', copy], { okCodes: [0, 1], env: { LC_ALL: 'C.UTF-8' } });
  if (exitCode === 0) return;
  const detail = stdout.replaceAll(copy, what);
  if (when === 'after') throw new PiimgError(`The boot partition of ${what} would be damaged`, { detail });
  throw new PiimgError(`The boot partition of ${what} is damaged, or was not unmounted`, {
    exitCode: EXIT.refused,
    detail,
    hint: 'Have it checked: sudo fsck.vfat -a on the partition of a card, or copy the image again. Nothing was written.',
  });
}
