// The files of an image by path, from its file systems or from the layers it was made of, and how those of two differ.
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { digestOfContent, type ImageFile } from '../image/files.ts';
import type { ImageManifest } from '../image/manifest.ts';
import { mergeLayers } from '../image/merge.ts';
import { findLayer } from '../layers/cache.ts';
import type { LayerEntry, LayerIndex } from '../layers/layer.ts';
import { PiimgError } from '../lib/errors.ts';
import type { Context } from './context.ts';
import type { FileChanges } from './engine-types.ts';

/** A file whose digest is known, or can be asked for. */
type ComparedFile = Omit<ImageFile, 'type' | 'content'> & { type: string; sha256?: string } & Partial<
    Pick<ImageFile, 'content'>
  >;

/** Differences by path: type, mode, owner, attributes, link, size, and where these are the same, content; then the time. */
export async function compareFiles(
  before: Map<string, ComparedFile>,
  after: Map<string, ComparedFile>,
  signal: AbortSignal,
): Promise<FileChanges> {
  const changes: FileChanges = { added: [], removed: [], changed: [], onlyTime: [] };
  for (const name of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    signal.throwIfAborted();
    const [old, fresh] = [before.get(name), after.get(name)];
    if (!fresh) changes.removed.push(name);
    else if (!old) changes.added.push(name);
    else if (!(await same(old, fresh))) changes.changed.push(name);
    else if (old.mtime !== fresh.mtime) changes.onlyTime.push(name);
  }
  return changes;
}

async function same(old: ComparedFile, fresh: ComparedFile): Promise<boolean> {
  // How much room a folder's names take up says nothing of the folder.
  const facts = ({ type, mode, uid, gid, target, xattrs, size }: ComparedFile) => [
    type,
    mode,
    uid,
    gid,
    target,
    xattrs,
    type === 'file' ? size : 0,
  ];
  if (!isDeepStrictEqual(facts(old), facts(fresh))) return false;
  if (old.type !== 'file') return true;
  const [one, other] = await Promise.all([digestOf(old), digestOf(fresh)]);
  return one === other;
}

async function digestOf({ sha256, content }: ComparedFile): Promise<string | undefined> {
  return content ? digestOfContent({ content }) : sha256;
}

/** What dpkg of the image says is installed. */
export async function installedPackages(files: Map<string, ImageFile>): Promise<{ name: string; version: string }[]> {
  const status = files.get('/var/lib/dpkg/status');
  const pieces: Buffer[] = [];
  if (status) for await (const piece of status.content()) pieces.push(piece);
  return Buffer.concat(pieces)
    .toString()
    .split('\n\n')
    .filter((stanza) => /^Status: .* installed$/m.test(stanza))
    .map((stanza) => {
      const field = (key: string): string => new RegExp(`^${key}: (.*)$`, 'm').exec(stanza)?.[1] ?? '';
      return { name: field('Package'), version: field('Version') };
    });
}

/** The files of the image that was made of these layers, from the cache. Throws PiimgError when one is no longer there. */
export async function filesOfLayers(
  { layers }: { layers: Pick<ImageManifest['layers'][number], 'key' | 'digest' | 'title'>[] },
  image: string,
  context: Context,
): Promise<Map<string, ComparedFile>> {
  const cache = { dir: path.join(context.cacheDir, 'layers'), tmp: path.join(context.cacheDir, 'tmp') };
  const indexes: LayerIndex[] = [];
  for (const { key, digest, title } of layers) {
    const layer = await findLayer(cache, key, () => {});
    if (layer?.index.digest !== digest) {
      throw new PiimgError(
        `The layer “${title}” of ${image} is not in the cache any more, so its files cannot be compared`,
        {
          hint: 'Give both images themselves, unpacked: then their file systems are read. Or compare plans: packages alone.',
        },
      );
    }
    indexes.push(layer.index);
  }
  return new Map(mergeLayers(indexes).map(({ entry }) => [`/${entry.path}`, withoutPlace(entry)]));
}

function withoutPlace({ path: _, offset: __, length: ___, ...entry }: LayerEntry): ComparedFile {
  return entry;
}
