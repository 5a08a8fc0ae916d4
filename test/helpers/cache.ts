// A cache made by hand: layers and downloads as builds leave them.
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { openGuard } from '../../src/layers/guard.ts';
import type { LayerIndex } from '../../src/layers/layer.ts';
import { writeLayerTar } from '../../src/layers/tar-writer.ts';
import { sha256 } from '../../src/lib/digest.ts';

/** Puts a layer of these files into the cache; gives its index. */
export async function handmadeLayer(
  cacheDir: string,
  title: string,
  files: Record<string, string>,
): Promise<LayerIndex> {
  const key = sha256(title);
  const dir = path.join(cacheDir, 'layers', key);
  await mkdir(path.join(dir, 'tree'), { recursive: true });
  const tar = await writeLayerTar(path.join(dir, 'layer.tar'), openGuard(new Set(), true), async (writer) => {
    for (const [name, content] of Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1))) {
      const size = Buffer.byteLength(content);
      await writer.add({ path: name, type: 'file', mode: 0o644, uid: 0, gid: 0, size, mtime: 0 });
      if (size > 0) await writer.write(Buffer.from(content));
      await writeFile(path.join(dir, 'tree', name), content);
    }
  });
  const index: LayerIndex = { key, title, ...tar, notes: [] };
  await writeFile(path.join(dir, 'layer.json'), JSON.stringify(index));
  return index;
}

/** Puts a download into the cache; gives its path. */
export async function handmadeDownload(cacheDir: string, content: string): Promise<string> {
  const digest = sha256(content);
  const file = path.join(cacheDir, 'store', digest.slice(0, 2), digest);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, content);
  return file;
}
