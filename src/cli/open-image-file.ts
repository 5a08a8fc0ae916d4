// Opens an image's file or a card, by the name that the user gave.
import { constants, open, stat, type FileHandle } from 'node:fs/promises';
import { identifyDisk, type DiskIdentity } from '../host/open-disk.ts';
import type { Positioned } from '../image/ranges.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { Opener } from './flashing/opener.ts';
import { withSudo } from './own-command.ts';

export interface OpenImageFile<Handle extends Positioned = Positioned> {
  handle: Handle;
  /** A device, not a file. */
  block: boolean;
  /** Bytes. */
  size: number;
}

/**
 * To be read, for the time of `work`; a device by `opener`, if there is one. Throws PiimgError: usage for what is not there, refused for a
 * device that only root may open.
 */
export async function withImageFile<T>(
  file: string,
  opener: Opener | undefined,
  work: (opened: OpenImageFile) => Promise<T>,
): Promise<T> {
  const { disk, size } = await find(file);
  const block = disk !== undefined;
  const handle = disk && opener ? await opener.look(disk) : await openExclusively(file, false, block);
  try {
    return await work({ handle, block, size });
  } finally {
    await handle.close();
  }
}

/** The same to be written to. Throws PiimgError as well (refused) for a device that something else uses. */
export async function withWritableFile<T>(
  file: string,
  work: (opened: OpenImageFile<FileHandle>) => Promise<T>,
): Promise<T> {
  const { disk, size } = await find(file);
  const block = disk !== undefined;
  const handle = await openExclusively(file, true, block);
  try {
    return await work({ handle, block, size });
  } finally {
    await handle.close();
  }
}

async function find(file: string): Promise<{ disk?: DiskIdentity; size: number }> {
  const found = await stat(file).catch(() => undefined);
  if (found?.isFile()) return { size: found.size };
  if (found?.isBlockDevice()) {
    const disk = await identifyDisk(file);
    return { disk, size: disk.size };
  }
  throw new PiimgError(`There is no image or card ${file}`, {
    exitCode: EXIT.usage,
    hint: 'Name the file of an image, or the device of a card, such as /dev/sdX.',
  });
}

/** open(2): for a block device O_EXCL fails when something has it, or a partition of it, mounted or in use. */
export async function openExclusively(file: string, write: boolean, block: boolean): Promise<FileHandle> {
  const flags = (write ? constants.O_RDWR : constants.O_RDONLY) | (write && block ? constants.O_EXCL : 0);
  return open(file, flags).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EACCES' && block) {
      throw new PiimgError(`Only root may open ${file}`, {
        exitCode: EXIT.refused,
        hint: withSudo(),
      });
    }
    if (error.code !== 'EBUSY') throw error;
    throw new PiimgError(`${file} is in use: something has it, or a partition of it, mounted or open`, {
      exitCode: EXIT.refused,
      hint: 'Unmount its partitions (lsblk shows them), then run the command again.',
    });
  });
}
