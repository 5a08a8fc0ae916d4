// The image that a base is: which one, where its bytes are, and that it was taken apart.
import { readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { ImageBase } from '../base/definition.ts';
import type { LockedImage } from '../base/lock.ts';
import { findListed, type ListedImage } from '../base/os-list.ts';
import { openSource } from '../flash/source/source.ts';
import { readSource } from '../flash/source/read.ts';
import { download, downloadUnknown } from '../host/download.ts';
import { storedPath, verifyStored, type Store } from '../host/store.ts';
import { findLayer } from '../layers/cache.ts';
import { digestOfFile } from '../lib/digest.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { Step } from '../lib/progress.ts';
import { imageLayerKey } from '../plan/image-base.ts';
import type { LockRequest } from './apt-world.ts';
import { keepNote, readNote } from './image-notes.ts';
import { readImageRecord, type ImageRecord } from './image-record.ts';
import { takeApart } from './take-apart.ts';

/** What the user says of the image, beside the base's name. */
export interface ImageChoice {
  /** Its digest, packed or not. */
  pin?: string | undefined;
  /** List to look in instead of the base's: a URL or a file. */
  osList?: string | undefined;
  /** The image itself, known by its digest; it is the pinned one. */
  file?: { path: string; sha256: string; size: number };
}

/** An image and where it lies: a URL or a file of this machine. */
export type BaseImage = Omit<ListedImage, 'released'> & { released?: string };

type Work = { step: Step; signal: AbortSignal };

/** Lists have a few hundred kilobytes. */
const LONGEST_LIST = 32 << 20;

/** The image a new lock takes: the file that was given, else the newest of the list. Throws PiimgError where that is not the pinned one. */
export async function chooseImage(base: ImageBase, request: LockRequest): Promise<BaseImage> {
  const { choice = {}, signal } = request;
  const { pin, file } = choice;
  if (file) {
    const { path: address, sha256, size } = file;
    return { name: path.basename(address), address, sha256, size, packed: {} };
  }
  const list = choice.osList ?? base.image.list;
  if (request.offline && isUrl(list)) {
    throw new PiimgError(`Offline, and no lock says which image ${base.name} is`, {
      hint: 'Build once without --offline, or name an image (--base FILE) or a list (--os-list FILE) of this machine.',
    });
  }
  const wanted = { names: base.image.names, pin, ofPacked: true };
  const image = await findListed(list, wanted, (address) => readList(address, signal));
  const { address, packed } = image;
  // A download is compared with it.
  if (pin === undefined || packed.sha256 !== pin || isUrl(address) || (await digestOfFile(address)) === pin)
    return image;
  throw new PiimgError(`${address} is not the file of the sha256 ${pin}`, {
    exitCode: EXIT.refused,
    hint: '--base-sha256 is the digest of the file, or of the image in it.',
  });
}

const isUrl = (address: string): boolean => /^https?:\/\//i.test(address);

async function readList(address: string, signal: AbortSignal): Promise<string> {
  if (!isUrl(address)) {
    return readFile(address, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw new PiimgError(`The list of images ${address} cannot be read (${error.code})`, { exitCode: EXIT.usage });
    });
  }
  const source = await openSource(address, { signal });
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of readSource(source, { signal })) {
    pieces.push(piece);
    if ((size += piece.length) > LONGEST_LIST) throw new PiimgError(`${address} is too long for a list of images`);
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** What is kept of an image, which is taken apart where that was not done before. */
export async function recordOf(image: BaseImage, request: LockRequest, work: Work): Promise<ImageRecord> {
  const { cacheDir } = request;
  const found = await readImageRecord(cacheDir, image.sha256);
  if (found) return found;
  await fetchAndTakeApart(image, request, work);
  const made = await readImageRecord(cacheDir, image.sha256);
  if (!made) throw new Error(`what was kept of ${image.name} is gone`);
  return made;
}

/**
 * Sees to it that the layer of a lock's image is in the cache, and what is kept of the image; the layer's files may still have to be put
 * back from its archive.
 */
export async function ensureImageLayer(
  locked: LockedImage,
  base: ImageBase,
  request: LockRequest,
  work: Work,
): Promise<void> {
  const { cacheDir } = request;
  const cache = { dir: path.join(cacheDir, 'layers'), tmp: path.join(cacheDir, 'tmp') };
  const note = (reason: string): void =>
    work.step.note(`the cached layer of the image is damaged (${reason}): made anew`);
  const layer = await findLayer(cache, imageLayerKey(locked.sha256), note);
  if (layer && (await readImageRecord(cacheDir, locked.sha256))) work.step.cached(locked.name);
  else await fetchAndTakeApart(await lockedBaseImage(locked, base, request), request, work);
}

/** The image of a lock. What the list says now counts before the address of then: it may be a mirror. */
export async function lockedBaseImage(
  { name, sha256, size, packed, url }: LockedImage,
  base: ImageBase,
  request: LockRequest,
): Promise<BaseImage> {
  const image = { name, sha256, size, packed: packed ?? {}, address: url ?? '' };
  const { file, osList } = request.choice ?? {};
  if (file) return { ...image, address: file.path };
  if (request.offline || (url !== undefined && osList === undefined)) return image;
  const wanted = { names: base.image.names, pin: sha256 };
  return findListed(osList ?? base.image.list, wanted, (address) => readList(address, request.signal)).catch(
    (error: unknown) => {
      if (url === undefined) throw error;
      return image;
    },
  );
}

/** An address without what is nobody else's business: a password, a signed query. Undefined for a file of this machine. */
export function publicAddress(address: string): string | undefined {
  if (!isUrl(address)) return undefined;
  const { origin, pathname } = new URL(address);
  return `${origin}${pathname}`;
}

async function fetchAndTakeApart(image: BaseImage, request: LockRequest, work: Work): Promise<void> {
  const { name, sha256, size } = image;
  const { file, learned } = await packedFile(image, request, work);
  try {
    await takeApart(file, { name, expected: { sha256, size } }, request.cacheDir, work);
  } catch (error) {
    // Nobody has vouched for these bytes; whatever is wrong with them, they are not to be taken for the image next time.
    if (learned !== undefined && !work.signal.aborted) await rm(file, { force: true });
    throw error;
  }
  if (learned !== undefined) await keepNote(request.cacheDir, sha256, learned);
}

/**
 * The file that holds the image: of this machine, in the store, or downloaded into it; `learned` is its digest where only the download
 * told it.
 */
async function packedFile(
  image: BaseImage,
  request: LockRequest,
  { step, signal }: Work,
): Promise<{ file: string; learned?: string }> {
  const { name, address, packed } = image;
  if (address !== '' && !isUrl(address)) return { file: address };
  const store: Store = { dir: path.join(request.cacheDir, 'store'), tmp: path.join(request.cacheDir, 'tmp') };
  const known = packed.sha256;
  const kept = known ?? (await readNote(request.cacheDir, image.sha256));
  if (kept !== undefined && (await stat(storedPath(store, kept)).catch(() => undefined))) {
    if (await verifyStored(store, kept)) return { file: storedPath(store, kept) };
    step.note(`the stored image ${name} is damaged: downloaded again`);
  }
  if (request.offline || address === '') {
    throw new PiimgError(`${request.offline ? 'Offline, and t' : 'T'}he image ${name} is not in the cache`, {
      detail: `sha256 ${image.sha256}${address === '' ? '' : `\n${address}`}`,
      hint: `${request.offline ? 'Build once without --offline, or give' : 'Give'} the image itself: --base FILE.`,
    });
  }
  if (known !== undefined) {
    await download(store, [{ url: address, sha256: known, size: packed.size ?? 0, label: name }], step, signal);
    return { file: storedPath(store, known) };
  }
  const learned = await downloadUnknown(store, { url: address, size: packed.size ?? 0, label: name }, step, signal);
  return { file: storedPath(store, learned), learned };
}
