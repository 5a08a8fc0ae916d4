// Where a seed goes: into the image or card itself, or into a copy of the image that appears when it is whole.
import { randomBytes } from 'node:crypto';
import { chmod, lstat, mkdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { diskFull, isDiskFull, requireSpace } from '../host/space.ts';
import { copyImage, requireSame } from '../image/copy.ts';
import { removeAbandonedParts } from '../lib/alive.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { Step } from '../lib/progress.ts';
import { settled } from '../lib/settled.ts';

export interface TargetFlags {
  out?: string;
  inPlace?: boolean;
}

/** Throws PiimgError (usage) unless exactly one place to write to is named. */
export function requireOneTarget({ out, inPlace = false }: TargetFlags): void {
  if ((out !== undefined) !== inPlace) return;
  throw new PiimgError('Either --out or --in-place is needed, and not both', {
    exitCode: EXIT.usage,
    hint: '--out FILE makes a copy of the image; --in-place writes to the image or card that is named.',
  });
}

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
  /** The copy for `out`, where it was begun before. */
  begun?: Copying | undefined;
}

export interface Work<T> {
  /** Goes on while a copy is made: where it fails, there is none. */
  meanwhile?: (signal: AbortSignal) => Promise<T>;
  /** `known`: of `meanwhile`, for a copy. */
  write: (file: string, known?: T) => Promise<void>;
}

/** A copy that is being made where nobody else looks. */
export interface Copying {
  file: string;
  /** Settles with it: as `copyImage` gives it. */
  whole: Promise<string>;
  /** Of the image. */
  mode: number;
  show(step: Step): void;
  stop(): void;
  /** Of what has not got another name by then nothing stays. */
  end(): Promise<void>;
}

/** Begins to copy the image for what is to become `out`. Throws PiimgError as `refuseOut`, and for a disk without room. */
export async function beginCopy(image: string, out: string, signal: AbortSignal): Promise<Copying> {
  await refuseOut(image, out);
  const { blocks, mode } = await stat(image);
  const folder = path.dirname(path.resolve(out));
  const needs = [{ folder, bytes: blocks * 512, what: 'the copy of the image' }];
  await requireSpace(needs);
  // Of runs that were killed.
  await removeAbandonedParts(folder, [path.basename(out)]);
  const place = `${out}.${randomBytes(4).toString('hex')}.${process.pid}.part`;
  const file = path.join(place, path.basename(out));
  await mkdir(place, { mode: 0o700 });
  const stopped = new AbortController();
  let shown: Step | undefined;
  const whole = copyImage(image, file, {
    signal: AbortSignal.any([signal, stopped.signal]),
    step: { update: (event) => shown?.update(event) },
  }).catch(async (error: unknown) => {
    throw isDiskFull(error) ? await diskFull(needs, error) : error;
  });
  // Whoever waits for it may come later.
  whole.catch(() => {});
  return {
    file,
    whole,
    mode: mode & 0o777,
    show: (step) => (shown = step),
    stop: () => stopped.abort(),
    async end() {
      stopped.abort();
      await whole.catch(() => {});
      await rm(place, { recursive: true, force: true });
    },
  };
}

/** Has the image itself written, or a copy of it; a copy that fails leaves nothing, and is no more durable than one by cp(1). */
export async function writeTarget<T = undefined>(
  { image, out, secret, begun }: Target,
  { meanwhile, write }: Work<T>,
  { step, signal }: { step: Step; signal: AbortSignal },
): Promise<void> {
  if (out === undefined) {
    // Before there is anything in it that others must not read.
    if (secret && (await stat(image)).isFile()) await chmod(image, 0o600);
    return write(image);
  }
  const copying = begun ?? (await beginCopy(image, out, signal));
  try {
    copying.show(step);
    const finding = meanwhile?.(signal).catch((error: unknown) => {
      copying.stop();
      throw error;
    });
    const [known, stamp] = await settled([Promise.resolve(finding), copying.whole]);
    // What was found out is of the image as it is now.
    await requireSame(image, stamp);
    await write(copying.file, known);
    if (!secret) await chmod(copying.file, copying.mode);
    signal.throwIfAborted();
    await rename(copying.file, out);
  } finally {
    await copying.end();
  }
}
