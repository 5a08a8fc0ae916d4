// What lies at the place asked for: an image that is already the one a plan would make, or an older one with its compressed copy.
import { open, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { HEADER_MAX, parseHeader } from '../image/header.ts';
import { HEADER_LBA } from '../image/layout.ts';
import type { ImageManifest } from '../image/manifest.ts';
import { SECTOR } from '../image/mbr.ts';
import type { BuildOptions } from './build-options.ts';

/** The manifest of an image that is what the plan of `buildId` would make: same build id, not touched since. */
export async function unchanged(
  image: string,
  manifestPath: string,
  buildId: string,
  options: Pick<BuildOptions, 'cache' | 'compress'>,
): Promise<ImageManifest | undefined> {
  if (!options.cache) return undefined;
  const manifest = await readManifest(manifestPath);
  const [file, record] = await Promise.all([image, manifestPath].map((name) => stat(name).catch(() => undefined)));
  if (!manifest || !file || !record) return undefined;
  // Size and times, not a digest: reading gigabytes would cost more than all the rest.
  const untouched = file.size === manifest.image.size && file.mtimeMs <= record.mtimeMs;
  if (!untouched || manifest.buildId !== buildId || (await readBuildId(image)) !== buildId) return undefined;
  return (await havePartners(path.dirname(image), manifest, options.compress)) ? manifest : undefined;
}

/**
 * Removes the compressed copy of the image that was here before, and gives its name: once the image is another one, it is a trap.
 * Only a file that the old manifest names, in the size it says: any other is not ours.
 */
export async function removeOldCopy(image: string, manifestPath: string): Promise<string | undefined> {
  const copy = (await readManifest(manifestPath))?.image.compressed;
  if (!copy) return undefined;
  const file = path.join(path.dirname(image), path.basename(copy.file));
  if ((await sizeOf(file)) !== copy.size) return undefined;
  await rm(file);
  return file;
}

/** Whether the block map, and the compressed copy that was asked for, lie beside the image. */
async function havePartners(
  dir: string,
  { image }: ImageManifest,
  compress: BuildOptions['compress'],
): Promise<boolean> {
  const { compressed, bmap } = image;
  if ((await sizeOf(path.join(dir, bmap))) === undefined) return false;
  if (compress === 'none') return true;
  return compressed?.format === compress && (await sizeOf(path.join(dir, compressed.file))) === compressed.size;
}

const sizeOf = async (file: string): Promise<number | undefined> => (await stat(file).catch(() => undefined))?.size;

/** The build id an image carries in its own header: the manifest beside it may be another one's. None where it is damaged. */
async function readBuildId(image: string): Promise<string | undefined> {
  const file = await open(image);
  try {
    const { buffer } = await file.read(Buffer.alloc(HEADER_MAX), 0, HEADER_MAX, HEADER_LBA * SECTOR);
    return parseHeader(buffer)?.buildId;
  } catch {
    return undefined;
  } finally {
    await file.close();
  }
}

/** The manifest in a file, if there is one that this piimg can read. */
async function readManifest(file: string): Promise<ImageManifest | undefined> {
  try {
    const manifest = JSON.parse(await readFile(file, 'utf8')) as ImageManifest | null;
    return manifest?.version === 1 ? manifest : undefined;
  } catch {
    return undefined;
  }
}
