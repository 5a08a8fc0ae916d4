// Makes the layers of a plan, or finds them in the cache.
import { PiimgError } from '../lib/errors.ts';
import type { Progress, Step } from '../lib/progress.ts';
import type { LayerRecipe, LayerSpec } from '../plan/plan.ts';
import type { Sandbox } from '../sandbox/root.ts';
import { findLayer, makeLayer, type LayerCache } from './cache.ts';
import { captureTree } from './capture.ts';
import type { Layer } from './layer.ts';
import type { LayerTar } from './tar-writer.ts';
import { restoreTree } from './restore-tree.ts';
import { startLayer, type Phases, type Started } from './started.ts';
import { makeAccounts } from './steps/accounts.ts';
import { placeArtifacts } from './steps/artifacts.ts';
import { makeBootFiles, makeInitramfs } from './steps/boot.ts';
import { configurePackages } from './steps/configure.ts';
import type { LowerLayer, StepContext } from './steps/context.ts';
import { writeFilesLayer } from './steps/files.ts';
import { fitBootFiles, updateInitramfs } from './steps/image-boot.ts';
import { installNpmApp } from './steps/npm.ts';
import { runScript } from './steps/run.ts';
import { applySettings, applyUnits } from './steps/settings.ts';
import { unpackPackages } from './steps/unpack.ts';
import { requireWholeTrees } from './verify-tree.ts';

export interface LayerWork {
  sandbox: Sandbox;
  cache: LayerCache;
  epoch: number;
  /** Path of an input by digest: a file of the user's, a package, an artifact. */
  file: (sha256: string) => string;
  progress: Progress;
  signal: AbortSignal | undefined;
  shellOnError: boolean;
  /** Nothing may be fetched. */
  offline: boolean;
  npmCache: string;
  roleFile: string;
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
  const reused: Layer[] = [];
  let last: (Started & { grown: LowerLayer }) | undefined;
  for (const recipe of recipes) {
    const placed = layers.map(({ dir, index }) => ({ tree: `${dir}/tree`, entries: Promise.resolve(index.entries) }));
    const below = last ? [...placed, last.grown] : placed;
    const next = startLayer(recipe.title, work.progress, (step, phases) =>
      buildLayer(recipe, below, reused, work, step, phases),
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

/**
 * Tells when the files are complete and when they are captured; takes its place when it is `free` to. One that is found is added to
 * those `reused`; one that is made looks at these, beside its work, and does not take its place when their files are damaged.
 */
async function buildLayer(
  recipe: LayerRecipe,
  below: LowerLayer[],
  reused: Layer[],
  work: LayerWork,
  step: Step,
  phases: Phases,
): Promise<Layer> {
  const { sandbox, cache } = work;
  // An image is taken apart before: all of that is the same whenever it is done.
  if (!work.noCache || recipe.spec.kind === 'image') {
    const found = await findLayer(cache, recipe.key, (reason) =>
      step.note(`the cached layer is damaged (${reason}): made anew`),
    );
    if (found) {
      await restoreTree(sandbox, cache.tmp, found, work.signal);
      step.cached(`layer ${recipe.key.slice(0, 12)}`);
      reused.push(found);
      return found;
    }
  }
  if (recipe.spec.kind === 'image') throw imageGone(recipe.key);
  // Only Debian packages are sure to hold no code of another architecture: what else brings some is told, not refused.
  const strict = recipe.spec.kind === 'unpack' || recipe.spec.kind === 'configure' || recipe.spec.kind === 'settings';
  return makeLayer(cache, sandbox, { ...recipe, strict, replace: work.noCache }, async (place, guard) => {
    const context = { ...work, ...place, below, step, guard };
    const whole = requireWholeTrees(sandbox, reused.splice(0), work.signal);
    whole.catch(() => {});
    const made = fill(recipe, context, place.tar, () => phases.tree.resolve(place.tree));
    // A damaged layer below may be why this one cannot be made.
    const { tar, notes } = await made.catch(() => whole.then(() => made));
    phases.entries.resolve(tar.entries);
    await Promise.all([whole, phases.free.promise]);
    return { tar, notes };
  });
}

const imageGone = (layer: string): PiimgError =>
  new PiimgError('The layer of the base’s image is not in the cache any more', {
    hint: 'Build again: the image is taken apart anew.',
    cause: { layer },
  });

/** Makes the tree and its archive; `complete` is called when the tree stays as it is. */
async function fill(
  { spec }: LayerRecipe,
  context: StepContext,
  tar: string,
  complete: () => void,
): Promise<{ tar: LayerTar; notes: string[] }> {
  if (spec.kind === 'files') {
    const written = await writeFilesLayer(spec.files, tar, context);
    complete();
    return { tar: written, notes: [] };
  }
  if (spec.kind === 'image') throw new TypeError('an image is not made');
  const notes = await fillTree(spec, context);
  context.step.update({ message: 'writing the layer' });
  return { tar: await captureTree(tar, context, complete), notes };
}

function fillTree(spec: Exclude<LayerSpec, { kind: 'files' | 'image' }>, context: StepContext): Promise<string[]> {
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
    case 'run':
      return runScript(spec, context);
    case 'settings':
      return applySettings(spec, context);
    case 'units':
      return applyUnits(spec, context);
    case 'initramfs':
      return makeInitramfs(context);
    case 'image-initramfs':
      return updateInitramfs(context);
    case 'image-boot':
      return fitBootFiles(spec, context);
    case 'boot':
      return makeBootFiles(spec, context);
  }
}
