// Writes changes of a boot partition to an image or a card, in an order that a cut leaves whole, and reads them back.
import { stat, type FileHandle } from 'node:fs/promises';
import { writeAll } from '../image/copy.ts';
import { openFat } from '../image/fat.ts';
import { readerOf, type ReadAt } from '../image/ranges.ts';
import { PiimgError } from '../lib/errors.ts';
import { digestOf } from './boot-copy.ts';
import { settled, type Change, type Planned, type Stages } from './boot-changes.ts';
import { openExclusively } from './open-image-file.ts';
import { refuseMounted } from './seed-write.ts';

/**
 * Makes the changes to the boot partition at byte `offset` that `prepare` finds out with the image, or the card to itself; `signal` stops
 * it before the first byte only. What is not `durable` is nobody's yet, and need not outlive a cut. Throws PiimgError (refused) for a device that is in use or mounted, and as `prepare`, before a byte is
 * written; afterwards for a card that reads differently. Gives what was changed.
 */
export async function writeStages(
  file: string,
  { offset, prepare, durable }: { offset: number; prepare: (read: ReadAt) => Promise<Planned>; durable: boolean },
  signal?: AbortSignal,
): Promise<Change[]> {
  const block = (await stat(file)).isBlockDevice();
  const handle = await openExclusively(file, true, block);
  let planned: Planned;
  try {
    if (block) await refuseMounted(file);
    planned = await prepare(readerOf(handle));
    signal?.throwIfAborted();
    await writeInTurns(handle, planned.stages, durable);
  } finally {
    await handle.close();
  }
  const changes = settled(planned.stages);
  await readBack(file, block, { changes, offset, sound: planned.sound });
  return changes;
}

async function writeInTurns(handle: FileHandle, stages: Stages, durable: boolean): Promise<void> {
  for (const stage of stages) {
    for (const { offset, content } of stage) await writeAll(handle, content, offset);
    if (durable && stage.length > 0) await handle.datasync();
  }
}

/**
 * Opened anew: with its last user a device's cache is gone, and what comes is from the card. Throws PiimgError where it reads differently,
 * also in a table or folder of which nothing was changed, and where somebody else has it by now: a desktop mounts what is let go.
 */
export async function readBack(
  file: string,
  block: boolean,
  { changes, offset: start, sound }: { changes: Change[]; offset: number; sound: string },
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
    const same = async ({ offset, content }: Change): Promise<boolean> =>
      (await read(offset, content.length)).equals(content);
    const written = (await Promise.all(changes.map(same))).every(Boolean);
    if (written && (await digestOf(await openFat(read, start))) === sound) return;
    throw new PiimgError(`The boot partition of ${file} reads differently from what was written to it`, {
      hint: block ? 'The card may be worn out or counterfeit: try another one.' : 'Does something else write to it?',
    });
  } finally {
    await handle.close();
  }
}
