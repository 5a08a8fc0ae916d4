// The sparse copy of a boot partition: files added, named and removed in it by mtools, and looked over by fsck.vfat.
import { createHash } from 'node:crypto';
import { mkdir, open, rm, stat, writeFile, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../host/exec.ts';
import { makeWorkFolder } from '../host/work-folder.ts';
import { writeAll, writeSparse } from '../image/copy.ts';
import { directoryRanges, findInFat, openFat, type FatEntry, type FatVolume } from '../image/fat.ts';
import { passing, type ByteRange, type ReadAt } from '../image/ranges.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import { quote } from '../lib/quote.ts';
import type { Edit } from '../seed/formats/edits.ts';

/** A sparse file in which the boot partition begins at byte 0: its tables and directories, without the contents of files. */
export interface Copy {
  file: string;
  handle: FileHandle;
  /** A folder for whatever belongs to it. */
  folder: string;
}

/** For each edit the file that has its name before. */
export type There = (FatEntry | undefined)[];

/** Where the boot partition begins on the disk that `what` names in messages. */
export type Partition = Pick<ByteRange, 'offset'> & { what: string };

/** For the time of `work`. */
export async function withCopy<T>(fat: FatVolume, offset: number, work: (copy: Copy) => Promise<T>): Promise<T> {
  const folder = await makeWorkFolder('seed');
  try {
    const file = path.join(folder, 'boot');
    const handle = await open(file, 'wx+', 0o600);
    try {
      await handle.truncate(fat.length);
      for await (const { at, pieces } of sectorsOf(fat)) {
        for (const bytes of pieces) await writeSparse(handle, bytes, at - offset);
      }
      return await work({ file, handle, folder });
    } finally {
      await handle.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** All but the contents of files, in pieces. */
async function* sectorsOf(fat: FatVolume): ReturnType<typeof passing> {
  for (const range of [fat.metadata, ...(await directoryRanges(fat))]) yield* passing([fat.read], range);
}

/** The sha256 of all but the contents of files. */
export async function digestOf(fat: FatVolume): Promise<string> {
  const hash = createHash('sha256');
  for await (const { pieces } of sectorsOf(fat)) for (const bytes of pieces) hash.update(bytes);
  return hash.digest('hex');
}

/** Whether the copies of the table are not all the same. */
export async function tablesDiffer({ read, tables }: FatVolume): Promise<boolean> {
  const [first] = tables;
  if (first === undefined) return false;
  const readers = tables.map<ReadAt>(
    ({ offset }) =>
      (at, length, into) =>
        read(offset + at, length, into),
  );
  for await (const { pieces } of passing(readers, { offset: 0, length: first.length })) {
    if (!pieces.every((piece) => piece.equals(pieces[0] ?? piece))) return true;
  }
  return false;
}

const mtools = (command: string[]): Promise<unknown> =>
  // Of any size and geometry: mtools' checks of these are of floppy disks.
  run(command, { env: { MTOOLS_SKIP_CHECK: '1', LC_ALL: 'C.UTF-8' } });

/** For what takes the place of a file that is there. No other file of a boot partition is called so, and no computer ever sees it. */
const newName = (index: number): string => `piimg${index}.new`;

/**
 * Adds the new contents: under their names, or where such a file is there, under names that nothing reads. None gets its name later: mren
 * of mtools 4.0.32 aborts where a directory has a single free slot left.
 */
export async function addFiles({ file, folder }: Copy, there: There, edits: Edit[]): Promise<void> {
  const files: string[] = [];
  await mkdir(path.join(folder, 'new'));
  for (const [index, edit] of edits.entries()) {
    if (!('content' in edit)) continue;
    files.push(path.join(folder, 'new', there[index] === undefined ? edit.path : newName(index)));
    await writeFile(files.at(-1) ?? '', edit.content, { mode: 0o600 });
  }
  if (files.length > 0) await mtools(['mcopy', '-o', '-i', file, ...files, '::/']);
}

/**
 * A file that is there keeps its slot: it takes over the clusters of the new one, which gets its own, to be removed with them. A slot lies
 * in one sector, and so is one or the other, and never neither. Gives the names that hold what was there before.
 */
export async function giveNames({ handle }: Copy, read: ReadAt, offset: number, edits: Edit[]): Promise<string[]> {
  const now = await openFat(read, offset);
  const gone: string[] = [];
  for (const [index, edit] of edits.entries()) {
    if (!('content' in edit)) continue;
    const [old, added] = [await findInFat(now, edit.path), await findInFat(now, newName(index))];
    if (old === undefined || added === undefined) continue;
    const [to, from] = [await read(old.slot, SLOT), await read(added.slot, SLOT)];
    await writeAll(handle, from.subarray(SWAPPED), old.slot + SWAPPED - offset);
    await writeAll(handle, to.subarray(SWAPPED), added.slot + SWAPPED - offset);
    gone.push(newName(index));
  }
  return gone;
}

/** mdel would ask about those. */
export async function makeWritable({ file }: Copy, names: string[]): Promise<void> {
  if (names.length > 0) await mtools(['mattrib', '-i', file, '-r', ...names.map((name) => `::${name}`)]);
}

export async function removeFiles({ file }: Copy, names: string[]): Promise<void> {
  if (names.length > 0) await mtools(['mdel', '-i', file, ...names.map((name) => `::${name}`)]);
}

/** From there to its end a slot has first cluster, time and day of the last change, and size ("FAT: General Overview", version 1.03). */
const SLOT = 32;
const SWAPPED = 20;

async function howToCheck(what: string): Promise<string> {
  if ((await stat(what).catch(() => undefined))?.isFile() !== true) return 'sudo fsck.vfat -a on its first partition';
  return `${quote(['sudo', 'losetup', '-P', '--find', '--show', what])} names a loop device, /dev/loop0 say; sudo fsck.vfat -a /dev/loop0p1; sudo losetup -d /dev/loop0`;
}

const DAMAGED = {
  before: 'is damaged, or was not unmounted',
  planned: 'would be damaged',
  written: 'is damaged by what was written to it',
};

/** fsck.vfat(8): exit status 1 is an error in the file system, with -n too. Contents of files it does not read. */
export async function check({ file }: Copy, what: string, when: keyof typeof DAMAGED): Promise<void> {
  const { exitCode, stdout } = await run(['fsck.vfat', '-n', file], { okCodes: [0, 1], env: { LC_ALL: 'C.UTF-8' } });
  if (exitCode === 0) return;
  const detail = stdout.replaceAll(file, what);
  const message = `The boot partition of ${what} ${DAMAGED[when]}`;
  if (when !== 'before') throw new PiimgError(message, { detail });
  throw new PiimgError(message, {
    exitCode: EXIT.refused,
    detail,
    hint: `Copy the image again, or have it checked: ${await howToCheck(what)}. Nothing was written.`,
  });
}

/** What is on the disk by now, once more. Throws PiimgError. */
export async function checkWritten(read: ReadAt, { offset, what }: Partition): Promise<void> {
  await withCopy(await openFat(read, offset), offset, (copy) => check(copy, what, 'written'));
}
