// The peer of a rebuild: plain `mke2fs -d` of the same tree, with the same mke2fs.
import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { divideAtBoot } from '../../src/image/boot-partition.ts';
import type { ImageManifest } from '../../src/image/manifest.ts';
import { mergeLayers } from '../../src/image/merge.ts';
import { endedTar, mergedTar } from '../../src/image/merged-tar.ts';
import { findLayer } from '../../src/layers/cache.ts';
import type { Layer } from '../../src/layers/layer.ts';
import type { Sandbox } from '../../src/sandbox/root.ts';
import type { BenchProject } from './project.ts';

/** A tree to make file systems from. */
export interface RootTree {
  tree: string;
  /** Of the partition. */
  kibibytes: number;
}

/** Unpacks the root file system of the image last built. */
export async function unpackRoot({ dir }: BenchProject, cacheDir: string, sandbox: Sandbox): Promise<RootTree> {
  const manifest = JSON.parse(await readFile(path.join(dir, 'out/web.manifest.json'), 'utf8')) as ImageManifest;
  const layers: Layer[] = [];
  for (const { key, title } of manifest.layers) {
    const layer = await findLayer(
      { dir: path.join(cacheDir, 'layers'), tmp: path.join(cacheDir, 'tmp') },
      key,
      () => {},
    );
    if (!layer) throw new Error(`the layer “${title}” of the image is not in the cache`);
    layers.push(layer);
  }
  const tree = path.join(dir, 'tree');
  await mkdir(tree, { recursive: true });
  const { root } = divideAtBoot(mergeLayers(layers.map(({ index }) => index)));
  await sandbox.tool(['tar', '-x', '-p', '--xattrs', '--xattrs-include=*', '--numeric-owner', '-C', tree], {
    writable: [tree],
    input: Readable.from(endedTar(mergedTar(layers, root))),
  });
  const { sectors = 0 } = manifest.disk.partitions.at(-1) ?? {};
  return { tree, kibibytes: (sectors * manifest.disk.sectorSize) >> 10 };
}

/**
 * Seconds to make a new ext4 of that size from it. The file goes at once: what is timed next finds memory that was just given back,
 * as this does after a build; a virtual machine has to ask its host for any other.
 */
export async function timeMke2fs({ tree, kibibytes }: RootTree, sandbox: Sandbox): Promise<number> {
  const dir = path.dirname(tree);
  const file = path.join(dir, 'plain.ext4');
  const started = performance.now();
  await sandbox.tool(['mke2fs', '-q', '-F', '-t', 'ext4', '-d', tree, file, `${kibibytes}k`], {
    readable: [tree],
    writable: [dir],
  });
  const seconds = (performance.now() - started) / 1000;
  await rm(file);
  return seconds;
}
