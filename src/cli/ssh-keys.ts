// The public ssh keys of whoever runs piimg: offered when a card would let nobody in.
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { keyParts } from '../lib/ssh-key.ts';
import { publicKey } from '../lib/yaml/words.ts';

export interface FoundKey {
  /** Absolute, if `home` is. */
  file: string;
  /** As a .pub file has it. */
  line: string;
  /** What people know it by: `me@laptop`. */
  comment: string;
}

/** An RSA key of 16,384 bits has 3 kB; far more is no key. */
const SIZE_MAX = 64 * 1024;

/** What `home`/.ssh/*.pub hold, by file; what is no public key, or cannot be read, is left out. */
export async function findPublicKeys(home: string): Promise<FoundKey[]> {
  const folder = path.join(home, '.ssh');
  const names = await readdir(folder).catch(() => []);
  const found: FoundKey[] = [];
  for (const name of names.filter((each) => each.endsWith('.pub')).sort()) {
    const file = path.join(folder, name);
    for (const line of await linesOf(file)) {
      if (publicKey.safeParse(line).success) found.push({ file, line, comment: keyParts(line).comment });
    }
  }
  return found;
}

async function linesOf(file: string): Promise<string[]> {
  const info = await stat(file).catch(() => undefined);
  // A pipe would be waited for.
  if (!info?.isFile() || info.size > SIZE_MAX) return [];
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').map((line) => line.trim());
}
