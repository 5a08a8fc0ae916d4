// Opens an image's file or a card, by the name that the user gave.
import { constants, open, stat, type FileHandle } from 'node:fs/promises';
import { identifyDisk } from '../host/open-disk.ts';
import type { Positioned } from '../image/ranges.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import { quote } from '../lib/quote.ts';
import type { Opener } from './flashing/opener.ts';
import { ownCommand } from './own-command.ts';

export interface OpenedFile {
  handle: Positioned;
  /** The same, to write to. */
  writable: FileHandle | undefined;
  /** A device, not a file. */
  block: boolean;
}

/**
 * For the time of `work`; a device to be read by `opener`, if there is one. Throws PiimgError: usage for what is not there, refused for a
 * device that only root may open or, which only `write` asks, something else uses.
 */
export async function withImageFile<T>(
  file: string,
  { write = false, opener }: { write?: boolean; opener?: Opener | undefined },
  work: (opened: OpenedFile) => Promise<T>,
): Promise<T> {
  const found = await stat(file).catch(() => undefined);
  const block = found?.isBlockDevice() ?? false;
  if (!found?.isFile() && !block) {
    throw new PiimgError(`There is no image or card ${file}`, {
      exitCode: EXIT.usage,
      hint: 'Name the file of an image, or the device of a card, such as /dev/sdX.',
    });
  }
  const looked = block && !write ? await opener?.look(await identifyDisk(file)) : undefined;
  const own = looked ? undefined : await openExclusively(file, write, block);
  const handle = looked ?? own;
  if (handle === undefined) throw new TypeError('nothing was opened');
  try {
    return await work({ handle, writable: own, block });
  } finally {
    await handle.close();
  }
}

/** open(2): for a block device O_EXCL fails when something has it, or a partition of it, mounted or in use. */
export async function openExclusively(file: string, write: boolean, block: boolean): Promise<FileHandle> {
  const flags = (write ? constants.O_RDWR : constants.O_RDONLY) | (write && block ? constants.O_EXCL : 0);
  return open(file, flags).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EACCES' && block) {
      throw new PiimgError(`Only root may open ${file}`, {
        exitCode: EXIT.refused,
        hint: quote(['sudo', ...ownCommand()]),
      });
    }
    if (error.code !== 'EBUSY') throw error;
    throw new PiimgError(`${file} is in use: something has it, or a partition of it, mounted or open`, {
      exitCode: EXIT.refused,
      hint: 'Unmount its partitions (lsblk shows them), then run the command again.',
    });
  });
}
