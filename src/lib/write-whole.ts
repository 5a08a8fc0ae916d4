// A file that is replaced as a whole: readers see the old one or the new one, and a failure leaves the old one.
import { rename, rm, writeFile } from 'node:fs/promises';

/** Writes `text` beside `file` and renames it. */
export async function writeWhole(file: string, text: string): Promise<void> {
  const part = `${file}.${process.pid}.part`;
  try {
    await writeFile(part, text);
    await rename(part, file);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}
