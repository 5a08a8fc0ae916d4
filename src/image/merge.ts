// Flattens layers into the list of entries the image gets: overlayfs's rules, applied to indexes instead of mounts.
import { PiimgError } from '../lib/errors.ts';
import type { LayerEntry, LayerIndex } from '../layers/layer.ts';

/** One entry of the image. */
export interface MergedEntry {
  /** Which layer its bytes are in: position in the list, lowest is 0. */
  layer: number;
  /** What it is in the image. */
  entry: LayerEntry;
  /**
   * The entry of that layer whose header and data are copied. Where it is not the same object as `entry`, path, type
   * or target differ and the header has to be rewritten.
   */
  source: LayerEntry;
}

interface Node {
  layer: number;
  entry: LayerEntry | undefined;
  children: Map<string, Node>;
}

/**
 * Merges layers, lowest first. A later layer replaces the same path; a whiteout removes a path and all below it; an
 * opaque directory, and anything that replaces a directory, hides what lower layers have below it; a directory over a
 * directory keeps the lower children under its own metadata.
 * The result is sorted depth first by name (the order of `tar --sort=name`, so that most ranges stay adjacent);
 * directories come before what is in them, and hard links after the entry they point to.
 * Throws PiimgError for an index that is not in order (an entry without its directory).
 */
export function mergeLayers(indexes: LayerIndex[]): MergedEntry[] {
  const root: Node = { layer: 0, entry: undefined, children: new Map() };
  for (const [layer, index] of indexes.entries()) {
    for (const entry of index.entries) place(root, entry, layer, index);
  }
  const entries: MergedEntry[] = [];
  if (root.entry !== undefined) entries.push({ layer: root.layer, entry: root.entry, source: root.entry });
  collect(root, entries);
  return resolveLinks(entries, indexes);
}

function place(root: Node, entry: LayerEntry, layer: number, index: LayerIndex): void {
  if (entry.path === '') {
    Object.assign(root, { layer, entry });
    if (entry.opaque) root.children.clear();
    return;
  }
  const names = entry.path.split('/');
  const name = names.pop() ?? '';
  let parent: Node | undefined = root;
  for (const part of names) parent = parent?.children.get(part);
  if (entry.type === 'whiteout') {
    parent?.children.delete(name);
    return;
  }
  if (parent === undefined || (parent.entry !== undefined && parent.entry.type !== 'directory')) {
    throw new PiimgError(`Layer "${index.title}": ${entry.path} comes without its directory.`, {
      hint: 'The layer is damaged. Remove it with `piimg cache prune` and build again.',
      cause: { layer: index.key, path: entry.path },
    });
  }
  const below = parent.children.get(name);
  const keepsChildren = entry.type === 'directory' && !entry.opaque;
  parent.children.set(name, { layer, entry, children: (keepsChildren && below?.children) || new Map() });
}

function collect(node: Node, into: MergedEntry[]): void {
  const children = [...node.children].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [, child] of children) {
    if (child.entry !== undefined) into.push({ layer: child.layer, entry: child.entry, source: child.entry });
    collect(child, into);
  }
}

/**
 * The names of one inode are a group. Whichever of them survived and comes first carries the data, the others link to
 * it: that is how a name whose target was replaced or removed by a later layer keeps its content.
 */
function resolveLinks(entries: MergedEntry[], indexes: LayerIndex[]): MergedEntry[] {
  const inodes = indexes.map((index) => inodesOf(index));
  const firstName = new Map<LayerEntry, string>();
  return entries.map((merged) => {
    const { layer, entry } = merged;
    const inode = inodes[layer]?.get(entry.path);
    if (inode === undefined) return merged;
    const first = firstName.get(inode);
    if (first === undefined) {
      firstName.set(inode, entry.path);
      return entry === inode ? merged : { layer, entry: { ...inode, path: entry.path }, source: inode };
    }
    if (entry.target === first && entry.type === 'hardlink') return merged;
    return { layer, entry: { ...entry, type: 'hardlink', target: first, size: 0 }, source: entry };
  });
}

/** Path → the entry with the data, for every path of a layer that shares its inode with another. */
function inodesOf(index: LayerIndex): Map<string, LayerEntry> {
  const inodes = new Map<string, LayerEntry>();
  if (!index.entries.some((entry) => entry.type === 'hardlink')) return inodes;
  const byPath = new Map(index.entries.map((entry) => [entry.path, entry]));
  for (const link of index.entries) {
    if (link.type !== 'hardlink') continue;
    const inode = inodes.get(link.target ?? '') ?? byPath.get(link.target ?? '');
    if (inode === undefined || inode.type === 'hardlink' || inode.type === 'whiteout') {
      throw new PiimgError(`Layer "${index.title}": the hard link ${link.path} has no target (${link.target}).`, {
        hint: 'The layer is damaged. Remove it with `piimg cache prune` and build again.',
        cause: { layer: index.key, path: link.path },
      });
    }
    inodes.set(link.path, inode).set(inode.path, inode);
  }
  return inodes;
}
