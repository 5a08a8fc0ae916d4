// Makes the layers of a plan, or finds them in the cache.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Progress, Step } from '../lib/progress.ts';
import type { LayerRecipe } from '../plan/plan.ts';
import type { Sandbox } from '../sandbox/root.ts';
import { findLayer, makeLayer, removeTrees, workFolder, type LayerCache } from './cache.ts';
import { captureTree } from './capture.ts';
import type { Layer } from './layer.ts';
import { startLayer, type Phases, type Started } from './started.ts';
import { makeAccounts } from './steps/accounts.ts';
import { placeArtifacts } from './steps/artifacts.ts';
import { makeBootFiles, makeInitramfs } from './steps/boot.ts';
import { configurePackages } from './steps/configure.ts';
import type { LowerLayer, StepContext } from './steps/context.ts';
import { placeFiles } from './steps/files.ts';
import { installNpmApp } from './steps/npm.ts';
import { runScript } from './steps/run.ts';
import { applySettings } from './steps/settings.ts';
import { unpackPackages } from './steps/unpack.ts';

export interface LayerWork {
  sandbox: Sandbox;
  cache: LayerCache;
  epoch: number;
  /** Path of an input by digest: a file of the user's, a package, an artifact. */
  file: (sha256: string) => string;
  progress: Progress;
  signal: AbortSignal | undefined;
  shellOnError: boolean;
  /** With one, a layer's archive is written before the next layer is begun. */
  jobs: number;
  /** Makes every layer anew. */
  noCache: boolean;
}

/**
 * The layers of `recipes`, lowest first; each is made on top of those before it. While one is made, the archive of the one
 * before is written: the scripts of packages keep one processor busy only. Layers take their places in order, so that none is
 * kept that stands on one the guard refused.
 */
export async function buildLayers(recipes: LayerRecipe[], work: LayerWork): Promise<Layer[]> {
  const layers: Layer[] = [];
  let last: (Started & { grown: LowerLayer }) | undefined;
  for (const recipe of recipes) {
    const placed = layers.map(({ dir, index }) => ({ tree: `${dir}/tree`, entries: Promise.resolve(index.entries) }));
    const below = last ? [...placed, last.grown] : placed;
    const next = startLayer(recipe.title, work.progress, (step, phases) =>
      buildLayer(recipe, below, work, step, phases),
    );
    const [tree] = await Promise.allSettled([next.tree, ...(work.jobs === 1 ? [next.entries] : [])]);
    try {
      if (last) layers.push(await last.place());
    } catch (error) {
      await next.discard(error);
      throw error;
    }
    if (tree.status === 'rejected') throw tree.reason;
    last = { ...next, grown: { tree: tree.value, entries: next.entries } };
  }
  if (last) layers.push(await last.place());
  return layers;
}

/** Tells when the files are complete and when they are captured; takes its place when it is `free` to. */
async function buildLayer(
  recipe: LayerRecipe,
  below: LowerLayer[],
  work: LayerWork,
  step: Step,
  phases: Phases,
): Promise<Layer> {
  const { sandbox, cache, epoch, signal } = work;
  if (!work.noCache) {
    const found = await findLayer(cache, recipe.key, (reason) =>
      step.note(`the cached layer is damaged (${reason}): made anew`),
    );
    if (found) {
      step.cached(`layer ${recipe.key.slice(0, 12)}`);
      return found;
    }
  }
  const scratch = await workFolder(cache.tmp);
  try {
    // Only Debian packages are sure to hold no code of another architecture: what else brings some is told, not refused.
    const strict = recipe.spec.kind === 'unpack' || recipe.spec.kind === 'configure' || recipe.spec.kind === 'settings';
    return await makeLayer(cache, sandbox, { ...recipe, strict, replace: work.noCache }, async (place, guard) => {
      await mkdir(join(scratch, 'files'));
      const notes = await fill(recipe, {
        sandbox,
        below,
        tree: place.tree,
        work: place.work,
        scratch: join(scratch, 'files'),
        epoch,
        file: work.file,
        step,
        signal,
        shellOnError: work.shellOnError,
        guard,
      });
      step.update({ message: 'writing the layer' });
      const planned = recipe.spec.kind === 'files';
      const tar = await captureTree(sandbox, { ...place, epoch, guard, signal, planned }, () =>
        phases.tree.resolve(place.tree),
      );
      phases.entries.resolve(tar.entries);
      await phases.free.promise;
      return { tar, notes };
    });
  } finally {
    await removeTrees(sandbox, [scratch]);
  }
}

function fill({ spec }: LayerRecipe, context: StepContext): Promise<string[]> {
  switch (spec.kind) {
    case 'unpack':
      return unpackPackages(spec, context);
    case 'configure':
      return configurePackages(spec, context);
    case 'accounts':
      return makeAccounts(spec, context);
    case 'npm':
      return installNpmApp(spec, context);
    case 'artifacts':
      return placeArtifacts(spec, context);
    case 'files':
      return placeFiles(spec.files, context);
    case 'run':
      return runScript(spec, context);
    case 'settings':
      return applySettings(spec, context);
    case 'initramfs':
      return makeInitramfs(context);
    case 'boot':
      return makeBootFiles(spec, context);
  }
}
