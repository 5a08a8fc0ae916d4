// What is kept of an image that was taken apart beside its layer: what resolving more packages for it needs.
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { ImageArchive, ImageFacts } from '../base/image-facts.ts';
import type { AptArchive } from '../host/apt.ts';
import { touch } from '../lib/touch.ts';

/** Raised when more is kept of an image. */
const FORMAT = 2;

export interface ImageRecord extends Omit<ImageFacts, 'status' | 'archives'> {
  archives: (AptArchive & Pick<ImageArchive, 'debians'>)[];
  /** dpkg's status file. */
  statusFile: string;
  /** Its cards are told who they are in the format of its own first boot; else by cloud-init. */
  firstBoot?: 'own';
}

const folderOf = (cacheDir: string, sha256: string): string => path.join(cacheDir, 'images', sha256);

/** What is kept of an image; undefined when it never was taken apart here. */
export async function readImageRecord(cacheDir: string, sha256: string): Promise<ImageRecord | undefined> {
  const dir = folderOf(cacheDir, sha256);
  const file = path.join(dir, 'image.json');
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const { format, archives, ...facts } = JSON.parse(text) as ImageRecord & { format: number };
  if (format !== FORMAT) return undefined;
  await touch(file);
  const placed = archives.map((archive) => ({ ...archive, keyring: path.join(dir, archive.keyring) }));
  return { ...facts, archives: placed, statusFile: path.join(dir, 'status') };
}

/** Keeps the facts of an image, complete or not at all. */
export async function writeImageRecord(
  cacheDir: string,
  sha256: string,
  facts: ImageFacts & Pick<ImageRecord, 'firstBoot'>,
): Promise<void> {
  const { status, archives, ...rest } = facts;
  const tmp = path.join(cacheDir, 'tmp');
  await mkdir(tmp, { recursive: true });
  const work = await mkdtemp(path.join(tmp, `${process.pid}-image-`));
  try {
    await writeFile(path.join(work, 'status'), status);
    const named = archives.map(({ keys: _, ...archive }, i) => ({ ...archive, keyring: `${i}.gpg` }));
    for (const [i, { keys }] of archives.entries()) await writeFile(path.join(work, `${i}.gpg`), keys);
    await writeFile(path.join(work, 'image.json'), JSON.stringify({ format: FORMAT, ...rest, archives: named }));
    const dir = folderOf(cacheDir, sha256);
    await mkdir(path.dirname(dir), { recursive: true });
    await rm(dir, { recursive: true, force: true });
    await rename(work, dir).catch((error: NodeJS.ErrnoException) => {
      // Another build has kept the same.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
