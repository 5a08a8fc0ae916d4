// What was found out about files of images, so that it need not be found out again: a few words each, under a digest.
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { touch } from '../lib/touch.ts';
import { writeWhole } from '../lib/write-whole.ts';

const fileOf = (cacheDir: string, key: string): string => path.join(cacheDir, 'image-files', key);

/** What was kept under `key`, a digest. */
export async function readNote(cacheDir: string, key: string): Promise<string | undefined> {
  const text = await readFile(fileOf(cacheDir, key), 'utf8').catch(() => undefined);
  if (text !== undefined) await touch(fileOf(cacheDir, key));
  return text;
}

export async function keepNote(cacheDir: string, key: string, text: string): Promise<void> {
  const file = fileOf(cacheDir, key);
  await mkdir(path.dirname(file), { recursive: true });
  await writeWhole(file, text);
}
