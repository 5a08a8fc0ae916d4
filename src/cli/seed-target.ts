// Where a seed goes: into the image or card itself, or into a copy of the image that appears when it is whole.
import { randomBytes } from 'node:crypto';
import { chmod, lstat, mkdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { requireSpace } from '../host/space.ts';
import { copyImage } from '../image/copy.ts';
import { removeAbandonedParts } from '../lib/alive.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { Step } from '../lib/progress.ts';
import { settled } from '../lib/settled.ts';

/** Throws PiimgError: what is renamed over must be a file, and not the image itself. */
export async function refuseOut(image: string, out: string): Promise<void> {
  const folder = path.dirname(path.resolve(out));
  if (!(await stat(folder).catch(() => undefined))?.isDirectory()) {
    throw new PiimgError(`There is no folder ${folder} for ${out}`, { exitCode: EXIT.usage, hint: 'Make it first.' });
  }
  const [source, target] = [await stat(image), await stat(out).catch(() => lstat(out).catch(() => undefined))];
  if (target === undefined) return;
  const refuse = (message: string, hint: string): PiimgError =>
    new PiimgError(message, { exitCode: EXIT.refused, hint });
  if (!target.isFile()) throw refuse(`${out} is no file`, 'A card is written with --in-place: --out makes a file.');
  if (source.dev === target.dev && source.ino === target.ino)
    throw refuse(`${out} is the image itself`, 'Name another file, or write into the image with --in-place.');
}

export interface Target {
  image: string;
  /** The file to write; the image itself, or the card, when absent. */
  out: string | undefined;
  /** Nobody else may read what is written. */
  secret: boolean;
}

export interface Work<T> {
  /** Goes on while a copy is made: where it fails, there is none. */
  meanwhile?: (signal: AbortSignal) => Promise<T>;
  /** `known`: of `meanwhile`, for a copy. */
  write: (file: string, known?: T) => Promise<void>;
}

/** Has the image itself written, or a copy of it; a copy that fails leaves nothing, and is no more durable than one by cp(1). */
export async function writeTarget<T = undefined>(
  { image, out, secret }: Target,
  { meanwhile, write }: Work<T>,
  { step, signal }: { step: Step; signal: AbortSignal },
): Promise<void> {
  if (out === undefined) {
    // Before there is anything in it that others must not read.
    if (secret && (await stat(image)).isFile()) await chmod(image, 0o600);
    return write(image);
  }
  const { blocks, mode } = await stat(image);
  const folder = path.dirname(path.resolve(out));
  await requireSpace([{ folder, bytes: blocks * 512, what: 'the copy of the image' }]);
  // Of runs that were killed.
  await removeAbandonedParts(folder, [path.basename(out)]);
  const place = `${out}.${randomBytes(4).toString('hex')}.${process.pid}.part`;
  const part = path.join(place, path.basename(out));
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  try {
    // Nobody else looks into it.
    await mkdir(place, { mode: 0o700 });
    const finding = meanwhile?.(stop).catch((error: unknown) => {
      failed.abort();
      throw error;
    });
    const [known] = await settled([Promise.resolve(finding), copyImage(image, part, { signal: stop, step })]);
    await write(part, known);
    if (!secret) await chmod(part, mode & 0o777);
    signal.throwIfAborted();
    await rename(part, out);
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}
