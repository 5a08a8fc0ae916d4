// Changes of a boot partition for tests: made, written, refused.
import { open } from 'node:fs/promises';
import * as assert from 'uvu/assert';
import { changesFor } from '../../src/cli/boot-changes.ts';
import { writeStages } from '../../src/cli/boot-write.ts';
import { PiimgError } from '../../src/lib/errors.ts';
import type { Edit } from '../../src/seed/formats/edits.ts';

/** Makes and writes them, as to a card. */
export const writeEdits = (file: string, offset: number, wanted: Edit[], signal?: AbortSignal): Promise<unknown> =>
  writeStages(
    file,
    { offset, durable: true, prepare: (read) => changesFor(read, { offset, what: file }, wanted, signal) },
    signal,
  );

/** Writes bytes where they belong. */
export async function apply(file: string, changes: { offset: number; content: Buffer }[]): Promise<void> {
  const handle = await open(file, 'r+');
  for (const { offset, content } of changes) await handle.write(content, 0, content.length, offset);
  await handle.close();
}

/** Refused (exit code 3), by these words; gives the hint. */
export const refused = async (work: Promise<unknown>, pattern: RegExp): Promise<string> => {
  try {
    await work;
  } catch (error) {
    assert.instance(error, PiimgError);
    assert.match((error as PiimgError).message, pattern);
    assert.is((error as PiimgError).exitCode, 3);
    return (error as PiimgError).hint ?? '';
  }
  throw new Error('it was not refused');
};
