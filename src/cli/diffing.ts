// Differences between two images or plans: their packages, and their files where both have some.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { ImageManifest, LockedPackage } from '../image/manifest.ts';
import { mergeLayers } from '../image/merge.ts';
import { findLayer } from '../layers/cache.ts';
import type { LayerIndex } from '../layers/layer.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { Plan } from '../plan/plan.ts';
import type { Context } from './context.ts';
import type { DiffResult, PackageChanges } from './engine-types.ts';

/** Compares two images (by the manifests beside them), manifests or plans, given by path. */
export async function diffImages(a: string, b: string, context: Context): Promise<DiffResult> {
  const [left, right] = [await readSide(a), await readSide(b)];
  const packages = comparePackages(left.packages, right.packages);
  if (!('image' in left) || !('image' in right)) return { packages };
  const [before, after] = [await filesOf(left, a, context), await filesOf(right, b, context)];
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort();
  return {
    packages,
    files: {
      added: paths.filter((name) => !before.has(name)),
      removed: paths.filter((name) => !after.has(name)),
      changed: paths.filter((name) => before.has(name) && after.has(name) && before.get(name) !== after.get(name)),
    },
  };
}

/** Packages by name; one in two versions cannot be installed, so the name says which. */
export function comparePackages(before: LockedPackage[], after: LockedPackage[]): PackageChanges {
  const [old, fresh] = [before, after].map((list) => new Map(list.map((item) => [item.name, item])));
  const only = (list: LockedPackage[], other: Map<string, LockedPackage> | undefined) =>
    list.filter(({ name }) => !other?.has(name)).map(({ name, version }) => ({ name, version }));
  return {
    added: only(after, old),
    removed: only(before, fresh),
    changed: after.flatMap(({ name, version }) => {
      const from = old?.get(name)?.version;
      return from === undefined || from === version ? [] : [{ name, from, to: version }];
    }),
  };
}

async function readSide(file: string): Promise<ImageManifest | Plan> {
  const source = file.endsWith('.json') ? file : `${file.replace(/\.img(\.(xz|zst|gz))?$/, '')}.manifest.json`;
  const text = await readFile(source, 'utf8').catch((error: unknown) => {
    throw new PiimgError(`${source} cannot be read`, {
      exitCode: EXIT.usage,
      hint: 'Give an image with its manifest beside it, a manifest, or what `piimg plan --json` printed.',
      cause: error,
    });
  });
  const data = parse(text);
  if (data?.version === 1 && Array.isArray(data.packages)) return data;
  throw new PiimgError(`${source} is neither a manifest nor a plan`, { exitCode: EXIT.usage });
}

function parse(text: string): ImageManifest | Plan | undefined {
  try {
    return JSON.parse(text) as ImageManifest | Plan;
  } catch {
    return undefined;
  }
}

/** Every file with all that can differ in it, from the layers the image was made of. */
async function filesOf(manifest: ImageManifest, file: string, context: Context): Promise<Map<string, string>> {
  const cache = { dir: path.join(context.cacheDir, 'layers'), tmp: path.join(context.cacheDir, 'tmp') };
  const indexes: LayerIndex[] = [];
  for (const { key, digest, title } of manifest.layers) {
    const layer = await findLayer(cache, key, () => {});
    if (layer?.index.digest !== digest) {
      throw new PiimgError(
        `The layer “${title}” of ${file} is not in the cache any more, so its files cannot be compared`,
        {
          hint: 'Build the image again, or compare packages alone with two plans (`piimg plan --json`).',
        },
      );
    }
    indexes.push(layer.index);
  }
  return new Map(
    mergeLayers(indexes).map(({ entry: { path: name, type, mode, uid, gid, sha256, target, xattrs } }) => [
      `/${name}`,
      JSON.stringify([type, mode, uid, gid, sha256, target, xattrs]),
    ]),
  );
}
