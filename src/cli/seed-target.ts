// Where a seed goes: into the image or card itself, or into a copy of the image that appears when it is whole.
import { randomBytes } from 'node:crypto';
import { chmod, lstat, open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../host/exec.ts';
import { requireSpace } from '../host/space.ts';
import { copyImage, flushing } from '../image/copy.ts';
import { removeAbandonedParts } from '../lib/alive.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { Step } from '../lib/progress.ts';

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

/** Has `write` write to the image itself, or to a copy of it. A copy that fails leaves nothing. */
export async function writeTarget(
  { image, out, secret }: Target,
  write: (file: string) => Promise<void>,
  { step, signal }: { step: Step; signal: AbortSignal },
): Promise<void> {
  if (out !== undefined) return writeCopy({ image, out, secret }, write, { step, signal });
  // Before there is anything in it that others must not read.
  if (secret && (await stat(image)).isFile()) await chmod(image, 0o600);
  await write(image);
}

/** Beside it under a name that nothing has, nobody else's to read from its first byte, then renamed. */
async function writeCopy(
  { image, out, secret }: Target & { out: string },
  write: (file: string) => Promise<void>,
  { step, signal }: { step: Step; signal: AbortSignal },
): Promise<void> {
  const { blocks, mode } = await stat(image);
  await requireSpace([{ folder: path.dirname(path.resolve(out)), bytes: blocks * 512, what: 'the copy of the image' }]);
  const part = `${out}.${randomBytes(4).toString('hex')}.${process.pid}.part`;
  // Of runs that were killed.
  await removeAbandonedParts(path.dirname(path.resolve(out)), [path.basename(out)]);
  const file = await open(part, 'wx', 0o600);
  try {
    try {
      await copyWhole(image, part, file, { signal, step });
      await write(part);
      if (!secret) await file.chmod(mode & 0o777);
      await file.sync();
    } finally {
      await file.close();
    }
    signal.throwIfAborted();
    await rename(part, out);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

/**
 * On Linux by cp(1), which leaves out holes without reading them and shares blocks where the file system can: a file that is there keeps
 * its mode.
 */
async function copyWhole(
  image: string,
  part: string,
  file: FileHandle,
  { signal, step }: { signal: AbortSignal; step: Step },
): Promise<void> {
  if (process.platform !== 'linux') return copyImage(image, file, { signal, step });
  const { blocks } = await stat(image);
  const look = setInterval(() => {
    const show = ({ blocks: done }: { blocks: number }): void =>
      step.update({ done: Math.min(done, blocks) * 512, total: blocks * 512, unit: 'bytes' });
    void file.stat().then(show, () => {});
  }, 250);
  try {
    await flushing(file, run(['cp', '--reflink=auto', '--sparse=auto', '--', image, part], { signal }));
  } finally {
    clearInterval(look);
  }
}
