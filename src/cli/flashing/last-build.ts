// The image that was built last from the folder one is in, wherever it was put.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { ImageManifest } from '../../image/manifest.ts';
import { EXIT, PiimgError } from '../../lib/errors.ts';
import { writeWhole } from '../../lib/write-whole.ts';

/** Where `piimg build` puts images. */
const FOLDER = 'out';

interface Note {
  manifest: string;
  /** What is there now may be of somebody else. */
  buildId: string;
}

/** Where builds of the folder one is in note the last one that went elsewhere. */
const noteFile = (cacheDir: string): string =>
  path.join(cacheDir, 'last-builds', createHash('sha256').update(process.cwd()).digest('hex').slice(0, 16));

/** For `lastBuild`, of an image that was not put where it looks. What cannot be noted is no failure. */
export async function noteBuild(cacheDir: string, manifest: string, buildId: string): Promise<void> {
  if (path.dirname(path.resolve(manifest)) === path.resolve(FOLDER)) return;
  const file = noteFile(cacheDir);
  const note: Note = { manifest: path.resolve(manifest), buildId };
  await mkdir(path.dirname(file), { recursive: true })
    .then(() => writeWhole(file, JSON.stringify(note)))
    .catch(() => {});
}

/** Its file. Throws PiimgError (usage) when there is none. */
export async function lastBuild(cacheDir: string): Promise<string> {
  const names = (await readdir(FOLDER).catch(() => [])).filter((name) => name.endsWith('.manifest.json'));
  const here = names.map((name) => imageOf(path.join(FOLDER, name)));
  const images = await Promise.all([...here, noted(noteFile(cacheDir))]);
  const [newest] = images.filter((one) => one !== undefined).sort((a, b) => b.time - a.time);
  if (newest !== undefined) return newest.file;
  throw new PiimgError(`No image was named, and none was built in ./${FOLDER}`, {
    exitCode: EXIT.usage,
    hint: 'Name an image, or a role with --role: it is built if needed.',
  });
}

interface Built {
  file: string;
  buildId: string;
  /** When it was built or asked for last. */
  time: number;
}

async function noted(note: string): Promise<Built | undefined> {
  try {
    const { manifest, buildId } = JSON.parse(await readFile(note, 'utf8')) as Note;
    const built = await imageOf(manifest);
    return built?.buildId === buildId ? { ...built, time: (await stat(note)).mtimeMs } : undefined;
  } catch {
    return undefined;
  }
}

/** What a manifest is of; undefined where either is gone. */
async function imageOf(manifest: string): Promise<Built | undefined> {
  try {
    const { image, buildId } = JSON.parse(await readFile(manifest, 'utf8')) as Pick<ImageManifest, 'image' | 'buildId'>;
    const file = path.join(path.dirname(manifest), path.basename(image.file));
    await stat(file);
    return { file, buildId, time: (await stat(manifest)).mtimeMs };
  } catch {
    return undefined;
  }
}
