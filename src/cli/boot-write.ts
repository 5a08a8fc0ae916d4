// Writes changes of a boot partition to an image or a card, in an order that a cut leaves whole, and reads them back.
import { stat, type FileHandle } from 'node:fs/promises';
import { writeAll } from '../image/copy.ts';
import { readerOf, type ReadAt } from '../image/ranges.ts';
import { PiimgError } from '../lib/errors.ts';
import { checkWritten } from './boot-copy.ts';
import { settled, type Change, type Stages } from './boot-changes.ts';
import { openExclusively } from './open-image-file.ts';
import { refuseMounted } from './seed-write.ts';

/**
 * Makes the changes to the boot partition at byte `offset` that `prepare` finds out with the image, or the card to itself; `signal` stops
 * it before the first byte only. What is not `durable` is nobody's yet, and need not outlive a cut. Throws PiimgError (refused) for a device that is in use or mounted, and as `prepare`, before a byte is
 * written; afterwards for a card that reads differently, or that fsck.vfat finds damaged. Gives what was changed.
 */
export async function writeStages(
  file: string,
  { offset, prepare, durable }: { offset: number; prepare: (read: ReadAt) => Promise<Stages>; durable: boolean },
  signal?: AbortSignal,
): Promise<Change[]> {
  const block = (await stat(file)).isBlockDevice();
  const handle = await openExclusively(file, true, block);
  let stages: Stages;
  try {
    if (block) await refuseMounted(file);
    stages = await prepare(readerOf(handle));
    signal?.throwIfAborted();
    await writeInTurns(handle, stages, durable);
  } finally {
    await handle.close();
  }
  const changes = settled(stages);
  await readBack(file, block, { changes, offset });
  return changes;
}

async function writeInTurns(handle: FileHandle, stages: Stages, durable: boolean): Promise<void> {
  for (const stage of stages) {
    for (const { offset, content } of stage) await writeAll(handle, content, offset);
    if (durable && stage.length > 0) await handle.datasync();
  }
}

/**
 * Opened anew: with its last user a device's cache is gone, and what comes is from the card. Throws PiimgError where it reads differently
 * or is damaged, and where somebody else has it by now: a desktop mounts what is let go.
 */
export async function readBack(
  file: string,
  block: boolean,
  { changes, offset: start }: { changes: Change[]; offset: number },
): Promise<void> {
  const handle = await openExclusively(file, block, block).catch((error: unknown) => {
    if (!(error instanceof PiimgError)) throw error;
    throw new PiimgError(`${file} was written, but not read back: something has mounted or opened it since`, {
      hint: 'Unmount it and run the command again, without whatever mounts cards by itself.',
      cause: error,
    });
  });
  try {
    const read = readerOf(handle);
    for (const { offset, content } of changes) {
      if ((await read(offset, content.length)).equals(content)) continue;
      throw new PiimgError(`The boot partition of ${file} reads differently from what was written to it`, {
        hint: 'The card may be worn out or counterfeit: try another one.',
      });
    }
    await checkWritten(read, { offset: start, what: file });
  } finally {
    await handle.close();
  }
}
