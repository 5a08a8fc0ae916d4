// The image that was built last in the folder one is in.
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { ImageManifest } from '../../image/manifest.ts';
import { EXIT, PiimgError } from '../../lib/errors.ts';

/** Where `piimg build` puts images. */
const FOLDER = 'out';

/** Its file. Throws PiimgError (usage) when there is none. */
export async function lastBuild(folder = FOLDER): Promise<string> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.manifest.json'));
  const images = await Promise.all(
    names.map(async (name) => {
      const manifest = path.join(folder, name);
      try {
        const { image } = JSON.parse(await readFile(manifest, 'utf8')) as Pick<ImageManifest, 'image'>;
        const file = path.join(folder, path.basename(image.file));
        await stat(file);
        return { file, time: (await stat(manifest)).mtimeMs };
      } catch {
        return undefined;
      }
    }),
  );
  const [newest] = images.filter((one) => one !== undefined).sort((a, b) => b.time - a.time);
  if (newest !== undefined) return newest.file;
  throw new PiimgError(`No image was named, and none was built in ./${FOLDER}`, {
    exitCode: EXIT.usage,
    hint: 'Name an image, or a role with --role: it is built if needed.',
  });
}
