// The throw-away identity of a boot test: the user it logs in as, and a key made for this one test.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../host/exec.ts';

/** The user that the test puts into the seed. */
export const TEST_USER = 'piimg-test';

export interface SeedKey {
  /** The private key's file, of mode 0600. */
  file: string;
  /** The line for authorized_keys. */
  public: string;
}

/** Makes an ed25519 key without passphrase in `folder`, which is the caller's to remove. */
export async function makeSeedKey(folder: string): Promise<SeedKey> {
  const file = path.join(folder, 'id_ed25519');
  await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', TEST_USER, '-f', file]);
  return { file, public: (await readFile(`${file}.pub`, 'utf8')).trim() };
}
