// An image taken apart and put together again with no role, by the build's own parts, and how two such are compared.
import path from 'node:path';
import { toolRunner } from '../../src/cli/build.ts';
import { withImageView } from '../../src/cli/image-view.ts';
import { takeApart } from '../../src/cli/take-apart.ts';
import { assembleImage } from '../../src/image/assemble.ts';
import { treeOfExt4 } from '../../src/image/ext4-tree.ts';
import { readFromFat, walkFat } from '../../src/image/fat.ts';
import { buildLayers } from '../../src/layers/build-layers.ts';
import type { Layer } from '../../src/layers/layer.ts';
import { sha256 as digestOf } from '../../src/lib/digest.ts';
import type { Progress, Step } from '../../src/lib/progress.ts';
import { imageLayerKey } from '../../src/plan/image-base.ts';
import type { LayerRecipe } from '../../src/plan/plan.ts';
import type { Sandbox } from '../../src/sandbox/root.ts';
import { minimalSeed } from '../../src/seed/minimal.ts';
import { digestOfTree } from './tree-digest.ts';

const { signal } = new AbortController();
const step: Step = { update() {}, note() {}, cached() {}, failed() {} };
const progress: Progress = { step: (_title, work) => work(step) };

export const DISK = 0x0badcafe;

export interface Kitchen {
  sandbox: Sandbox;
  cacheDir: string;
  /** The build's clock, in seconds: never before the image was made, as later times would be cut. */
  epoch: number;
}

/** The recipe of the base layer that `image` becomes. */
export async function imageRecipe({ cacheDir }: Kitchen, image: string): Promise<LayerRecipe> {
  const { sha256 } = await takeApart(image, { name: path.basename(image) }, cacheDir, { step, signal });
  return { key: imageLayerKey(sha256), title: 'image', spec: { kind: 'image', image: sha256 } };
}

export const layersOf = ({ sandbox, cacheDir, epoch }: Kitchen, recipes: LayerRecipe[]): Promise<Layer[]> =>
  buildLayers(recipes, {
    sandbox,
    cache: { dir: path.join(cacheDir, 'layers'), tmp: path.join(cacheDir, 'tmp') },
    epoch,
    file: () => '',
    progress,
    signal,
    shellOnError: false,
    offline: true,
    npmCache: '',
    roleFile: 'none',
    jobs: 2,
    noCache: false,
  });

/** Writes the image `out`, and returns its path. */
export async function assembled({ sandbox, epoch }: Kitchen, layers: Layer[], out: string): Promise<string> {
  await assembleImage({
    layers,
    stable: layers,
    buildId: 'c0ffee'.repeat(10),
    diskId: DISK,
    role: 'none',
    base: 'tiny',
    logins: [],
    seed: minimalSeed('c0ffee'.repeat(10)),
    bootFiles: [],
    out,
    sourceDateEpoch: epoch,
    runTool: toolRunner(sandbox, signal),
    step,
    signal,
  });
  return out;
}

/** The digest over names, owners, modes, extended attributes and contents of the root file system. */
export const treeOf = (file: string): Promise<string> =>
  withImageView(file, (_view, { read, ext4 }) => digestOfTree(treeOfExt4(read, ext4)));

/**
 * All that is known of each file of the root, times too, and of those files of the FAT that `ofBoot` takes, contents; but for the FAT's
 * folders, which mtools makes as of the build's clock.
 */
export const headersOf = (file: string, ofBoot: (name: string) => boolean): Promise<string[]> =>
  withImageView(file, async (_view, { read, ext4, fat }) => {
    const found: string[] = [];
    for await (const { header } of treeOfExt4(read, ext4)) found.push(JSON.stringify(header));
    const onBoot: string[] = [];
    for await (const { path: name, entry } of walkFat(fat))
      if (!entry.directory && ofBoot(name))
        onBoot.push(`${name} ${entry.size} ${entry.mtime} ${digestOf(await readFromFat(fat, entry))}`);
    return [...found, ...onBoot.sort()];
  });
