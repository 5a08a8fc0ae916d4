// The image that was built last from the folder one is in, wherever it was put.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { ImageManifest } from '../../image/manifest.ts';
import { EXIT, PiimgError } from '../../lib/errors.ts';
import { writeWhole } from '../../lib/write-whole.ts';

/** Where `piimg build` puts images. */
const FOLDER = 'out';

/** Where builds of the folder one is in note the last one that went elsewhere: its manifest. */
const noteFile = (cacheDir: string): string =>
  path.join(cacheDir, 'last-builds', createHash('sha256').update(process.cwd()).digest('hex').slice(0, 16));

/** For `lastBuild`, of an image that was not put where it looks. What cannot be noted is no failure. */
export async function noteBuild(cacheDir: string, manifest: string): Promise<void> {
  const file = noteFile(cacheDir);
  if (path.dirname(path.resolve(manifest)) === path.resolve(FOLDER)) return;
  await mkdir(path.dirname(file), { recursive: true })
    .then(() => writeWhole(file, path.resolve(manifest)))
    .catch(() => {});
}

/** Its file. Throws PiimgError (usage) when there is none. */
export async function lastBuild(cacheDir: string): Promise<string> {
  const names = (await readdir(FOLDER).catch(() => [])).filter((name) => name.endsWith('.manifest.json'));
  const elsewhere = await readFile(noteFile(cacheDir), 'utf8').catch(() => undefined);
  const manifests = [...names.map((name) => path.join(FOLDER, name)), ...(elsewhere === undefined ? [] : [elsewhere])];
  const images = (await Promise.all(manifests.map(imageOf))).filter((one) => one !== undefined);
  const [newest] = images.sort((a, b) => b.time - a.time);
  if (newest !== undefined) return newest.file;
  throw new PiimgError(`No image was named, and none was built in ./${FOLDER}`, {
    exitCode: EXIT.usage,
    hint: 'Name an image, or a role with --role: it is built if needed.',
  });
}

/** What a manifest is of, and when it was built or asked for last; undefined where either is gone. */
async function imageOf(manifest: string): Promise<{ file: string; time: number } | undefined> {
  try {
    const { image } = JSON.parse(await readFile(manifest, 'utf8')) as Pick<ImageManifest, 'image'>;
    const file = path.join(path.dirname(manifest), path.basename(image.file));
    await stat(file);
    return { file, time: (await stat(manifest)).mtimeMs };
  } catch {
    return undefined;
  }
}
