// Finds what makes two builds of one plan differ: the first layer whose bytes are not the same, and the first file in it.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { LayerEntry, LayerIndex } from '../../src/layers/layer.ts';
import type { BuiltImage } from './built.ts';

/** A sentence that names layer and file, or `undefined` when every layer is the same. */
export async function firstDifference(one: BuiltImage, other: BuiltImage): Promise<string | undefined> {
  for (const [number, layer] of one.manifest.layers.entries()) {
    const twin = other.manifest.layers[number];
    if (layer.key !== twin?.key)
      return `layer ${number} was planned otherwise: ${layer.title}, ${twin?.title ?? 'none'}`;
    if (layer.digest === twin.digest) continue;
    const [left, right] = await Promise.all([one, other].map(({ cacheDir }) => readEntries(cacheDir, layer.key)));
    const found = firstDifferentEntry(left ?? [], right ?? []);
    return `layer “${layer.title}” differs: ${found ?? 'in no entry, only in its tar'}`;
  }
  return undefined;
}

/** The first path whose entries differ in anything but their place in the tar. */
export function firstDifferentEntry(left: LayerEntry[], right: LayerEntry[]): string | undefined {
  const byPath = new Map(right.map((entry) => [entry.path, entry]));
  for (const entry of left) {
    const other = byPath.get(entry.path);
    if (other === undefined) return `/${entry.path} is only in the first`;
    byPath.delete(entry.path);
    const keys = [...new Set([...Object.keys(entry), ...Object.keys(other)])].filter(
      (key) => key !== 'offset',
    ) as (keyof LayerEntry)[];
    const different = keys.filter((key) => JSON.stringify(entry[key]) !== JSON.stringify(other[key]));
    if (different.length > 0) {
      return `/${entry.path}: ${different.map((key) => `${key} ${JSON.stringify(entry[key])} and ${JSON.stringify(other[key])}`).join(', ')}`;
    }
  }
  const [rest] = byPath.keys();
  return rest === undefined ? undefined : `/${rest} is only in the second`;
}

async function readEntries(cacheDir: string, key: string): Promise<LayerEntry[]> {
  return (JSON.parse(await readFile(path.join(cacheDir, 'layers', key, 'layer.json'), 'utf8')) as LayerIndex).entries;
}
