// A file that whoever comes first writes, and everybody then reads.
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** Writes `text` to `file` when there is none, complete at once; gives what the file says. */
export async function writeOnce(file: string, text: string): Promise<string> {
  const part = `${file}.${process.pid}.part`;
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(part, text);
  try {
    await link(part, file);
    return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return await readFile(file, 'utf8');
  } finally {
    await rm(part, { force: true });
  }
}
