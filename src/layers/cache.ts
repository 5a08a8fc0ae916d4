// The cache of layers: complete entries under their keys, work in progress elsewhere.
import { chmod, mkdir, mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { abandoned } from '../lib/alive.ts';
import { PiimgError } from '../lib/errors.ts';
import { touch } from '../lib/touch.ts';
import type { Sandbox } from '../sandbox/root.ts';
import { openGuard, type Guard } from './guard.ts';
import type { Layer, LayerIndex } from './layer.ts';
import type { LayerTar } from './tar-writer.ts';

export interface LayerCache {
  dir: string;
  tmp: string;
}

/** Folders in which a layer is made. */
export interface Workplace {
  tree: string;
  /** overlayfs's own. */
  work: string;
  /** For files that are not part of the layer. */
  scratch: string;
  tar: string;
}

/**
 * The layer of this key, if a complete one is there; its tree may be missing (restoreTree). `damaged` is called with the reason when
 * one is there but not whole.
 */
export async function findLayer(
  cache: LayerCache,
  key: string,
  damaged: (reason: string) => void,
): Promise<Layer | undefined> {
  const dir = join(cache.dir, key);
  if (!(await stat(dir).catch(() => undefined))) return undefined;
  const index = await readFile(join(dir, 'layer.json'), 'utf8')
    .then((text) => JSON.parse(text) as LayerIndex)
    .catch(() => undefined);
  const tar = await stat(join(dir, 'layer.tar')).catch(() => undefined);
  if (index?.key === key && Array.isArray(index.entries) && tar?.size === index.size) {
    await touch(join(dir, 'layer.json'));
    return { dir, index };
  }
  damaged(!index ? 'its index cannot be read' : 'its archive has another size');
  return undefined;
}

/**
 * Makes a layer: `build` fills the tree and captures it. It appears in the cache complete or not at all; when somebody else was
 * faster, theirs is taken, unless this one is to `replace` it. Throws what `build` throws, and PiimgError with the guard's findings.
 */
export async function makeLayer(
  cache: LayerCache,
  sandbox: Sandbox,
  recipe: { key: string; title: string; strict: boolean; replace: boolean },
  build: (place: Workplace, guard: Guard) => Promise<{ tar: LayerTar; notes: string[] }>,
): Promise<Layer> {
  await mkdir(cache.dir, { recursive: true });
  const dir = await workFolder(cache.tmp);
  const inDir = (name: string) => join(dir, name);
  const place = { tree: inDir('tree'), work: inDir('work'), scratch: inDir('scratch'), tar: inDir('layer.tar') };
  try {
    await mkdir(place.tree);
    // The image's root folder: 0755 whatever the caller's umask is.
    await chmod(place.tree, 0o755);
    await mkdir(place.work);
    await mkdir(place.scratch);
    const guard = openGuard(sandbox.nativeDigests, recipe.strict);
    const { tar, notes } = await build(place, guard);
    const verdict = guard.verdict();
    if (verdict.failures.length > 0) {
      throw new PiimgError(`The layer “${recipe.title}” holds files that would not run on a Pi`, {
        detail: verdict.failures.slice(0, 20).join('\n'),
      });
    }
    const index: LayerIndex = { key: recipe.key, title: recipe.title, ...tar, notes: [...notes, ...verdict.notes] };
    await writeFile(join(dir, 'layer.json'), JSON.stringify(index));
    await removeTrees(sandbox, [place.work, place.scratch]);
    return await putInPlace(cache, dir, index, recipe.replace, (old) => removeTrees(sandbox, [old]));
  } catch (error) {
    await removeTrees(sandbox, [dir]);
    throw error;
  }
}

/** A folder for work in progress, named after this process so that a later one can tell whether it still runs. */
export async function workFolder(tmp: string): Promise<string> {
  await mkdir(tmp, { recursive: true });
  return mkdtemp(join(tmp, `${process.pid}-`));
}

/** Removes what processes that are gone have left in `tmp`. */
export async function removeAbandoned(sandbox: Sandbox, tmp: string): Promise<void> {
  const names = await readdir(tmp).catch(() => []);
  await removeTrees(
    sandbox,
    abandoned(names, /^(\d+)-/).map((name) => join(tmp, name)),
  );
}

/** Removes folders; files in them may belong to ids that only exist inside the namespace. */
export async function removeTrees(sandbox: Sandbox, dirs: string[]): Promise<void> {
  for (const dir of dirs) {
    await rm(dir, { recursive: true, force: true }).catch(() =>
      sandbox.tool(['rm', '-rf', '--', dir], { writable: [join(dir, '..')] }),
    );
  }
}

/**
 * Moves a finished layer from its work folder `dir` to its place. When somebody else was faster, theirs is taken, unless this one is to
 * `replace` it; `remove` is for the folder of whichever is not.
 */
export async function putInPlace(
  cache: LayerCache,
  dir: string,
  index: LayerIndex,
  replace: boolean,
  remove: (dir: string) => Promise<void>,
): Promise<Layer> {
  const target = join(cache.dir, index.key);
  try {
    await rename(dir, target);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    // Another build finished the same layer, and may have it mounted: it stays. A damaged one gives way.
    const theirs = replace ? undefined : await findLayer(cache, index.key, () => {});
    if (!theirs) {
      await rename(target, `${dir}-old`);
      await rename(dir, target);
      await remove(`${dir}-old`);
    } else {
      await remove(dir);
      return theirs;
    }
  }
  return { dir: target, index };
}
