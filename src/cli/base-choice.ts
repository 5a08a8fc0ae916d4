// The base a command is given: by name, or as the file of an image; and what else is said of it.
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { loadBase, type BaseDefinition, type ImageBase } from '../base/definition.ts';
import { stampOf } from '../lib/stamp.ts';
import { digestOf, digestOfFile } from '../lib/digest.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { Bases } from '../role/resolve.ts';
import type { ImageChoice } from './base-image.ts';
import type { Context } from './context.ts';
import { keepNote, readNote } from './image-notes.ts';
import { readImageRecord } from './image-record.ts';
import { takeApart } from './take-apart.ts';

export interface BaseOptions {
  /** Name of a base that replaces the role's own, or the file of an image. */
  base?: string;
  /** sha256 that the base's image must have: of the file, or of the image in it. */
  baseSha256?: string;
  /** List of images to look in: a URL or a file. */
  osList?: string;
}

/** The base whose packages go on top of an image that is given as a file. */
const ON_TOP_OF_FILES = 'raspios-lite';

/** A file, and not the name of a base. */
const isImageFile = (base: string): boolean => base.includes('/') || /\.(img|xz|gz|zst|zip)$/i.test(base);

/**
 * How the base is read, and which image it is to be. The file of an image is a base named after the digest of the image in it; it is taken
 * apart where that was not done before. Throws PiimgError as that does, and (refused) for a file that is not the pinned one, before anything in it
 * is looked at.
 */
export async function chosenBase(
  { base, baseSha256: pin, osList }: BaseOptions,
  context: Context,
): Promise<{ bases: Bases<BaseDefinition>; choice: ImageChoice }> {
  const { PIIMG_OS_LIST: set } = process.env;
  const list = osList ?? (set === '' ? undefined : set);
  const choice: ImageChoice = { pin, osList: list === undefined ? undefined : absolute(list) };
  if (base === undefined || !isImageFile(base)) return { bases: { load: loadBase, name: base }, choice };
  const file = path.resolve(base);
  const { sha256, size } = await identify(file, pin, context);
  const name = `image-${sha256.slice(0, 12)}`;
  const load = async (wanted: string, dirs: string[]): Promise<BaseDefinition> => {
    if (wanted !== name) return loadBase(wanted, dirs);
    const onTop = await loadBase(ON_TOP_OF_FILES, dirs);
    if (onTop.kind !== 'image') throw noImage(ON_TOP_OF_FILES);
    return { ...onTop, name, summary: path.basename(file) } satisfies ImageBase;
  };
  return { bases: { load, name }, choice: { ...choice, file: { path: file, sha256, size } } };
}

/** Throws PiimgError (usage) when something is said of the image of a base that is none. */
export function requireImageBase(base: BaseDefinition, { baseSha256, osList }: BaseOptions): void {
  if (base.kind === 'packages' && (baseSha256 ?? osList) !== undefined) throw noImage(base.name);
}

const noImage = (name: string): PiimgError =>
  new PiimgError(`The base ${name} is made of packages: no image is looked for`, {
    exitCode: EXIT.usage,
    hint: 'Leave --base-sha256 and --os-list out, or name a base that is an image, such as raspios-lite.',
  });

const absolute = (list: string): string => (/^https?:/i.test(list) ? list : path.resolve(list));

/** Which image a file holds. Unpacking it takes a minute: what it was is kept, until the file is another one. */
async function identify(
  file: string,
  pin: string | undefined,
  context: Context,
): Promise<{ sha256: string; size: number }> {
  const { cacheDir, signal, progress } = context;
  const info = await stat(file).catch(() => undefined);
  const key = info && digestOf(['file', file, stampOf(info)]);
  const [sha256 = '', size = ''] = (key === undefined ? undefined : await readNote(cacheDir, key))?.split(' ') ?? [];
  const packed = info?.isFile() && pin !== undefined && sha256 !== pin ? await digestOfFile(file) : undefined;
  const requirePinned = (image: string): void => {
    if (pin === undefined || image === pin || packed === pin) return;
    throw new PiimgError(`${file} is not the image of the sha256 ${pin}: unpacked it has ${image}`, {
      exitCode: EXIT.refused,
      hint: '--base-sha256 is the digest of the file, or of the image in it.',
    });
  };
  if (sha256 !== '' && (await readImageRecord(cacheDir, sha256))) {
    requirePinned(sha256);
    return { sha256, size: Number(size) };
  }
  const found = await progress.step('image of the base', (step) =>
    takeApart(file, { name: path.basename(file), accept: requirePinned }, cacheDir, { step, signal }),
  );
  if (key !== undefined) await keepNote(cacheDir, key, `${found.sha256} ${found.size}`);
  return found;
}
