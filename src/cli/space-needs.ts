// How much room a build needs, estimated before it starts: see README.md of this folder for where the factors come from.
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { SpaceNeed } from '../host/space.ts';
import { missingFrom } from '../host/store.ts';
import type { LayerRecipe, Plan } from '../plan/plan.ts';
import type { Prepared } from './build.ts';
import { HOST_ARCHITECTURE } from '../sandbox/shadow.ts';
import { toolsFolder, wantedBy } from './materials.ts';

const MIB = 1024 ** 2;

/** Bytes on disk for a byte of .deb, as files; the layer's archive takes as much once more. */
const UNPACKED = 4;
/** Files of a layer that is not unpacked from packages: caches, an initramfs, an application. */
const OTHER_LAYER: Partial<Record<LayerRecipe['spec']['kind'], number>> = {
  configure: 70 * MIB,
  initramfs: 70 * MIB,
  boot: 80 * MIB,
  npm: 100 * MIB,
};
/** Bytes on disk for a byte of the native tools' packages: unpacked, and the programs once more that stand over the image's. */
const TOOLS = 2.5;
/** Partition table, journal and inode tables that are written, and the block map. */
const IMAGE_OVERHEAD = 64 * MIB;

/** What a build will write to the cache and, where it makes an image, beside that. */
export async function spaceNeeds(
  prepared: Prepared,
  cacheDir: string,
  makes: { image: boolean },
): Promise<SpaceNeed[]> {
  const { planned, store, out, lock, role } = prepared;
  const missing = await missingFrom(store, wantedBy(lock, role, []));
  const downloads = missing.reduce((sum, { size }) => sum + size, 0);
  const layers = await layerNeeds(planned.plan, cacheDir, lock.image?.size ?? 0);
  const haveTools = await stat(toolsFolder(lock, cacheDir)).catch(() => undefined);
  const tools = haveTools ? 0 : TOOLS * (lock.tools[HOST_ARCHITECTURE] ?? []).reduce((sum, { size }) => sum + size, 0);
  const image = layers.files + IMAGE_OVERHEAD;
  const forImage = [
    // The image is a copy of one in the cache that lacks the role's own files.
    { folder: cacheDir, bytes: image, what: 'its file system' },
    { folder: path.dirname(out), bytes: image, what: 'the image' },
  ];
  return [
    ...(downloads > 0 ? [{ folder: cacheDir, bytes: downloads, what: 'downloads' }] : []),
    ...(tools > 0 ? [{ folder: cacheDir, bytes: tools, what: 'native tools' }] : []),
    ...(layers.fresh > 0 ? [{ folder: cacheDir, bytes: layers.fresh, what: 'layers' }] : []),
    ...(makes.image ? forImage : []),
  ];
}

/** Bytes of all files of the image, and of what is written for layers: archive and files, or files alone where those are missing. */
async function layerNeeds(
  { layers }: Plan,
  cacheDir: string,
  imageSize: number,
): Promise<{ files: number; fresh: number }> {
  let files = 0;
  let fresh = 0;
  for (const recipe of layers) {
    const inLayer = (name: string) => stat(path.join(cacheDir, 'layers', recipe.key, name)).catch(() => undefined);
    const [archive, tree] = [await inLayer('layer.tar'), await inLayer('tree')];
    const bytes = archive?.size ?? (recipe.spec.kind === 'image' ? imageSize : estimate(recipe));
    files += bytes;
    if (!archive) fresh += bytes;
    if (!tree) fresh += bytes;
  }
  return { files, fresh };
}

function estimate({ spec }: LayerRecipe): number {
  switch (spec.kind) {
    case 'unpack':
      return UNPACKED * spec.packages.reduce((sum, { size }) => sum + size, 0);
    case 'files':
      return spec.files.reduce((sum, { source, content }) => sum + (source?.size ?? content?.length ?? 0), 0);
    default:
      return OTHER_LAYER[spec.kind] ?? MIB;
  }
}
