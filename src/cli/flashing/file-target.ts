// The file of `--to FILE`: a new one, or one that may be replaced.
import { lstat, stat } from 'node:fs/promises';
import path from 'node:path';
import { EXIT, PiimgError } from '../../lib/errors.ts';
import type { FlashImage } from './image.ts';

/** `write`: else it is compared, and must be there. Throws PiimgError when it cannot be written, or is the image itself, be it by another name. */
export async function requireFile(file: string, { source }: FlashImage, write: boolean): Promise<void> {
  const folder = path.dirname(path.resolve(file));
  if (!(await stat(folder).catch(() => undefined))?.isDirectory())
    throw new PiimgError(`There is no folder ${folder} for ${file}`, { exitCode: EXIT.usage, hint: 'Make it first.' });
  const target = await stat(file).catch(() => lstat(file).catch(() => undefined));
  if (target === undefined) {
    if (write) return;
    throw new PiimgError(`There is no file ${file}`, { exitCode: EXIT.usage, hint: 'Name the one to compare.' });
  }
  const refuse = (message: string, hint: string): PiimgError =>
    new PiimgError(message, { exitCode: EXIT.refused, hint });
  if (!target.isFile()) throw refuse(`${file} is no file`, 'A card is named without --to.');
  const image = source.kind === 'file' ? await stat(source.name) : undefined;
  if (image?.dev === target.dev && image.ino === target.ino)
    throw refuse(`${file} is the image itself`, 'Name another file.');
}
