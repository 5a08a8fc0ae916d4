// Opens a disk: the very one that was listed, past the page cache; to be written to, for nobody else at the same time.
import { constants } from 'node:fs';
import { open, readFile, stat, type FileHandle } from 'node:fs/promises';
import { EXIT, PiimgError } from '../lib/errors.ts';
import { diskutilInfo } from './mac-disks.ts';
import { deviceNumber } from './mounted.ts';

/** What tells whether it is still the disk it was. */
export interface DiskIdentity {
  path: string;
  /** Bytes. */
  size: number;
  /** Linux's device number, `8:16`. */
  number?: string;
  /** Counted up whenever another medium is put in (Documentation/ABI/stable/sysfs-block, diskseq; Linux 5.15). */
  sequence?: string;
}

/** The folder of a block device in sysfs; undefined where there is none. */
export async function deviceFolder(disk: string): Promise<string | undefined> {
  if (process.platform !== 'linux') return undefined;
  const info = await stat(disk).catch(() => undefined);
  return info?.isBlockDevice() ? `/sys/dev/block/${deviceNumber(info.rdev)}` : undefined;
}

/** Throws PiimgError (usage) when there is no such disk. */
export async function identifyDisk(path: string): Promise<DiskIdentity> {
  const info = await stat(path).catch(() => undefined);
  if (info === undefined)
    throw new PiimgError(`There is no ${path}`, { exitCode: EXIT.usage, hint: 'piimg drives lists disks.' });
  if (process.platform !== 'linux') return { path, size: await sizeOnMac(path) };
  const number = deviceNumber(info.rdev);
  const told = (name: string): Promise<string | undefined> =>
    readFile(`/sys/dev/block/${number}/${name}`, 'utf8').then(
      (text) => text.trim(),
      () => undefined,
    );
  const [sectors, sequence] = [await told('size'), await told('diskseq')];
  return { path, size: Number(sectors ?? 0) * 512, number, ...(sequence !== undefined && { sequence }) };
}

async function sizeOnMac(path: string): Promise<number> {
  const told = (await diskutilInfo(path)) ?? '';
  return Number(/<key>TotalSize<\/key>\s*<integer>(\d+)/.exec(told)?.[1] ?? 0);
}

const refuse = (message: string, hint: string): PiimgError => new PiimgError(message, { exitCode: EXIT.refused, hint });

/** Throws PiimgError (refused) when a disk is not there any more, or not the one that was listed. */
export async function requireSameDisk(listed: DiskIdentity): Promise<void> {
  const now = await identifyDisk(listed.path).catch(() => undefined);
  if (now === undefined) throw gone(listed.path);
  // Where diskutil tells none, as of some readers, it cannot be compared.
  const size = process.platform === 'linux' ? now.size : now.size || listed.size;
  if (size === listed.size && now.number === listed.number && now.sequence === listed.sequence) return;
  throw another(listed.path);
}

const another = (path: string): PiimgError =>
  refuse(
    `${path} is not the disk any more that was shown`,
    'Another card was put in meanwhile? Run the command again and look.',
  );
const gone = (path: string): PiimgError =>
  refuse(
    `No card is in ${path} any more`,
    'Put it in again, then run the command once more: piimg drives lists cards.',
  );

/** Codes of open(2) of a device that has gone, or of a reader without a card. */
const GONE = ['ENOENT', 'ENXIO', 'ENODEV', 'ENOMEDIUM'];

/**
 * open(2): O_EXCL, for `write`, fails for a block device that has something mounted or is open so elsewhere; O_DIRECT goes past the page cache. Throws
 * PiimgError (refused) when it is in use, or not the disk any more that was listed.
 */
export async function openDisk(listed: DiskIdentity, write: boolean): Promise<FileHandle> {
  const { path } = listed;
  // macOS: the device without a cache, as there is no O_DIRECT.
  const node = process.platform === 'darwin' ? path.replace('/dev/disk', '/dev/rdisk') : path;
  const access = write ? constants.O_RDWR | constants.O_EXCL : constants.O_RDONLY;
  const handle = await open(node, access | (constants.O_DIRECT ?? 0)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EBUSY')
      throw refuse(
        `${path} is in use: something has it, or a partition of it, mounted or open`,
        'lsblk shows what. End that, then run the command again.',
      );
    if (GONE.includes(error.code ?? '')) throw gone(path);
    if (error.code === 'EROFS' || error.code === 'EACCES')
      throw refuse(
        `${path} cannot be ${write ? 'written to' : 'read'} (${error.code})`,
        write
          ? "Check the lock switch on the card's adapter, and who may write to the device."
          : 'Only root may: run the command with sudo.',
      );
    throw error;
  });
  try {
    const info = await handle.stat();
    if (listed.number !== undefined && !(info.isBlockDevice() && deviceNumber(info.rdev) === listed.number))
      throw another(path);
    await requireSameDisk(listed);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}
