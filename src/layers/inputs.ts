// What layers are made from must be what the plan says: a store may have lain on a failing disk for years, and whoever builds may edit
// a file of theirs meanwhile.
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { digestIfThere } from '../host/store.ts';
import { PiimgError } from '../lib/errors.ts';
import type { ByDigest } from '../plan/plan.ts';
import type { SourceFile } from '../role/resolved.ts';

/**
 * Reads each download and compares it with its digest (some 1.7 GB a second). Throws PiimgError naming the first that differs; its
 * `cause` is `{ stored }` with the digest, for whoever can fetch it again.
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

/** The bytes of a file of the user's, as they were when the plan was made. Throws PiimgError, after the last, when they are not. */
export async function* unchangedFile(path: string, { sha256, size }: ByDigest): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  let length = 0;
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      length += chunk.length;
      if (length <= size) yield chunk;
    }
  } catch (error) {
    // Editors replace a file by another one.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  if (length !== size || hash.digest('hex') !== sha256) throw changed(path);
}

/** Throws PiimgError when one of the user's files is not what it was when the role was read. */
export async function requireUnchanged(files: SourceFile[]): Promise<void> {
  for (const { path, sha256 } of files) if ((await digestIfThere(path)) !== sha256) throw changed(path);
}

/** Copies a file of the user's for a program that reads it by name: what is changed later no longer matters. Throws as `unchangedFile`. */
export async function copyUnchanged(path: string, file: ByDigest, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await pipeline(unchangedFile(path, file), createWriteStream(to));
}

const changed = (path: string): PiimgError =>
  new PiimgError(`${path} was changed while the image was being built`, { hint: 'Build again.' });
