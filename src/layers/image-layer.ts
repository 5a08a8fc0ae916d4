// The layer of an image that was taken apart: made without a sandbox, as nothing of it runs; its tree is put back from the archive.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TreeEntry } from '../image/ext4-tree.ts';
import { putInPlace, workFolder, type LayerCache } from './cache.ts';
import { openGuard } from './guard.ts';
import type { Layer, LayerIndex } from './layer.ts';
import { writeLayerTar } from './tar-writer.ts';

/**
 * Puts the layer `key` with these entries into the cache, complete or not at all: owners, modes, links, attributes, devices and times as
 * they are. Whoever was faster has made the same. Throws what reading the entries throws.
 */
export async function makeImageLayer(
  cache: LayerCache,
  { key, title }: { key: string; title: string },
  entries: AsyncIterable<TreeEntry>,
): Promise<Layer> {
  const work = await workFolder(cache.tmp);
  try {
    const guard = openGuard(new Set(), false);
    const tar = await writeLayerTar(join(work, 'layer.tar'), guard, async (writer) => {
      for await (const { header, content } of entries) {
        await writer.add(header);
        for await (const piece of content()) await writer.write(piece);
      }
    });
    // What it brings is the image's own: code for other machines is worth a note.
    const index: LayerIndex = { key, title, ...tar, notes: guard.verdict().notes };
    await writeFile(join(work, 'layer.json'), JSON.stringify(index));
    await mkdir(cache.dir, { recursive: true });
    // The tree of a damaged one may hold files of others' ids: then it stays where the next build removes it.
    return await putInPlace(cache, work, index, false, (dir) =>
      rm(dir, { recursive: true, force: true }).catch(() => {}),
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
