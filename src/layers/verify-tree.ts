// Whether the files of a cached layer are still those that were captured: its archive is checked when it is read, they are only here.
import { utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { PiimgError } from '../lib/errors.ts';
import type { Sandbox } from '../sandbox/root.ts';
import { ARCHIVE, copyEntry } from './capture.ts';
import type { Layer, LayerEntry } from './layer.ts';
import { onlyInArchive } from './restore-tree.ts';
import { readTarFrom } from './tar-reader.ts';
import { indexOnly } from './tar-writer.ts';

/**
 * A quick look at every file of these layers, before they are built upon: how many there are, how long they are together, and
 * whether one was touched (its ctime) after the layer was complete (the time of its folder, into which the index is written
 * last). Where something differs, all is compared. Throws PiimgError for a layer whose files are not those of its index; its
 * `cause` is `{ layer }` with the key.
 */
export async function requireWholeTrees(sandbox: Sandbox, layers: Layer[], signal?: AbortSignal): Promise<void> {
  if (layers.length === 0) return;
  const { stdout } = await sandbox.tool(['sh', '-euc', LOOK, 'sh', ...layers.map(({ dir }) => dir)], {
    readable: [...new Set(layers.map(({ dir }) => dirname(dir)))],
    signal,
  });
  const looks = stdout.split('\0');
  for (const [i, layer] of layers.entries()) {
    if (isDeepStrictEqual(totalOf(looks[i]?.split('\n') ?? []), totalOf(sizesOf(layer)))) continue;
    const difference = await treeDifference(sandbox, layer, signal);
    if (difference !== undefined) {
      throw new PiimgError(`The cached layer “${layer.index.title}” is damaged: ${difference}`, {
        hint: 'The next build makes it anew.',
        cause: { layer: layer.index.key },
      });
    }
    // A cache that was copied, say: what was compared once need not be the next time.
    await utimes(layer.dir, new Date(), new Date());
  }
}

/** Prints the size of every file, a word instead of a number for what was touched, and a NUL after each layer. */
const LOOK = `for dir; do
  find "$dir/tree" -newercm "$dir" -printf 'touched\\n' , -type f -printf '%s\\n'
  printf '\\0'
done`;

/** Number and sum; NaN when a line is no number. */
function totalOf(sizes: (string | number)[]): { files: number; bytes: number } {
  const numbers = sizes.filter((size) => size !== '').map(Number);
  return { files: numbers.length, bytes: numbers.reduce((sum, size) => sum + size, 0) };
}

/** Of every file by each of its names. */
function sizesOf({ index }: Layer): number[] {
  const sizes = new Map(index.entries.filter(({ type }) => type === 'file').map(({ path, size }) => [path, size]));
  return index.entries
    .filter(({ type, target = '' }) => type === 'file' || (type === 'hardlink' && sizes.has(target)))
    .map(({ path, target = path }) => sizes.get(target) ?? 0);
}

/** Compares all of a layer's files with its index: content, owners, modes, links and attributes. Says what differs first. */
export async function treeDifference(
  sandbox: Sandbox,
  { dir, index }: Layer,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const tree = join(dir, 'tree');
  const tar = sandbox.tool([...ARCHIVE, '-C', tree, '.'], { readable: [tree], stdout: 'stream', signal });
  const entries = await indexOnly((writer) =>
    readTarFrom(tar, (header, data) => copyEntry(header, data, writer, header.mtime)),
  );
  const found = new Map(entries.map((entry) => [entry.path, facts(entry)]));
  // Where a layer says nothing of the root folder, the one its files lie in means nothing.
  if (!index.entries.some(({ path }) => path === '')) found.delete('');
  const absent = onlyInArchive(index.entries);
  for (const entry of index.entries) {
    if (absent.has(entry.path)) continue;
    const other = found.get(entry.path);
    if (other === undefined) return `/${entry.path} is gone`;
    if (!isDeepStrictEqual(other, facts(entry))) return `/${entry.path} is not what was stored`;
    found.delete(entry.path);
  }
  const [more] = found.keys();
  return more === undefined ? undefined : `/${more} is no part of it`;
}

/** An entry without its place in an archive, and without its time: that of a file just built is another one in the archive. */
function facts({
  offset: _,
  length: __,
  time: ___,
  ...entry
}: LayerEntry): Omit<LayerEntry, 'offset' | 'length' | 'time'> {
  return entry;
}
