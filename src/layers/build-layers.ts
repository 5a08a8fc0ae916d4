// Makes the layers of a plan, or finds them in the cache.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Progress, Step } from '../lib/progress.ts';
import type { LayerRecipe } from '../plan/plan.ts';
import type { Sandbox } from '../sandbox/root.ts';
import { findLayer, makeLayer, removeTrees, workFolder, type LayerCache } from './cache.ts';
import { captureTree } from './capture.ts';
import type { Layer } from './layer.ts';
import { makeAccounts } from './steps/accounts.ts';
import { placeArtifacts } from './steps/artifacts.ts';
import { makeBootFiles, makeInitramfs } from './steps/boot.ts';
import { configurePackages } from './steps/configure.ts';
import type { StepContext } from './steps/context.ts';
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
  /** Makes every layer anew. */
  noCache: boolean;
}

/** The layers of `recipes`, lowest first; each is made on top of those before it. */
export async function buildLayers(recipes: LayerRecipe[], work: LayerWork): Promise<Layer[]> {
  const layers: Layer[] = [];
  for (const recipe of recipes) {
    layers.push(await work.progress.step(recipe.title, (step) => buildLayer(recipe, layers, work, step)));
  }
  return layers;
}

async function buildLayer(recipe: LayerRecipe, below: Layer[], work: LayerWork, step: Step): Promise<Layer> {
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
    return await makeLayer(cache, sandbox, { ...recipe, strict }, async (place, guard) => {
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
      });
      step.update({ message: 'writing the layer' });
      return { tar: await captureTree(sandbox, place.tree, place.tar, epoch, guard, signal), notes };
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
