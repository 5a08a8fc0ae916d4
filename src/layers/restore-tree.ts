// Puts the files of a cached layer back from its archive: a cache that was copied has them no longer, where the program that
// copied it keeps neither foreign owners nor overlayfs's attributes.
import { createReadStream } from 'node:fs';
import { chmod, mkdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { digestIfThere } from '../host/store.ts';
import { PiimgError } from '../lib/errors.ts';
import { encodeHeader, endOfArchive, type TarHeader } from '../lib/tar.ts';
import type { Sandbox } from '../sandbox/root.ts';
import { removeTrees, workFolder } from './cache.ts';
import { OPAQUE } from './capture.ts';
import type { Layer, LayerEntry, LayerIndex } from './layer.ts';
import { readTar } from './tar-reader.ts';

const EXTRACT = ['tar', '-x', '-p', '--numeric-owner', '--xattrs', '--xattrs-include=*'];

/**
 * Unpacks the archive of a layer whose tree is missing; `tmp` is on the same file system. Throws PiimgError when the archive is
 * damaged; its `cause` is `{ layer }` with the key.
 */
export async function restoreTree(
  sandbox: Sandbox,
  tmp: string,
  { dir, index }: Layer,
  signal?: AbortSignal,
): Promise<void> {
  if (await stat(join(dir, 'tree')).catch(() => undefined)) return;
  const archive = join(dir, 'layer.tar');
  if ((await digestIfThere(archive)) !== index.digest) {
    throw new PiimgError(`The cached layer “${index.title}” is damaged: its archive is not what was stored`, {
      hint: 'The next build makes it anew.',
      cause: { layer: index.key },
    });
  }
  const work = await workFolder(tmp);
  const tree = join(work, 'tree');
  try {
    await mkdir(tree);
    // The image's root folder, where the layer says nothing of it.
    await chmod(tree, 0o755);
    const input = Readable.from(withOverlayNotes(archive, index));
    await sandbox.tool([...EXTRACT, '-C', tree], { writable: [tree], input, signal });
    await rename(tree, join(dir, 'tree')).catch((error: NodeJS.ErrnoException) => {
      // Another build was faster.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await removeTrees(sandbox, [work]);
  }
}

/**
 * What the tree has none of: devices, which cannot be made in a user namespace, pipes beside them, and further names of either. They stay in
 * the archive, from which images are made.
 */
export function onlyInArchive(entries: LayerEntry[]): Set<string> {
  const special = new Set(entries.flatMap(({ path, type }) => (SPECIAL.has(type) ? [path] : [])));
  if (special.size === 0) return special;
  const links = entries.filter(({ type, target = '' }) => type === 'hardlink' && special.has(target));
  return new Set([...special, ...links.map(({ path }) => path)]);
}

const SPECIAL = new Set<LayerEntry['type']>(['character', 'block', 'fifo']);

/** The archive, with whiteouts and opaque folders as overlayfs spells them, each in its place. */
async function* withOverlayNotes(archive: string, { entries, size }: LayerIndex): AsyncGenerator<Buffer> {
  const bytes = (start: number, end: number): Readable =>
    start < end ? createReadStream(archive, { start, end: end - 1 }) : Readable.from([]);
  const absent = onlyInArchive(entries);
  let passed = 0;
  let at = 0;
  for (const entry of entries) {
    const { offset: start = at, length = 0 } = entry;
    at = start + length;
    if (entry.type !== 'whiteout' && !entry.opaque && !absent.has(entry.path)) continue;
    yield* bytes(passed, start) as AsyncIterable<Buffer>;
    passed = at;
    if (absent.has(entry.path)) continue;
    const header = entry.type === 'whiteout' ? whiteout(entry) : await onlyHeader(bytes(start, at));
    yield encodeHeader(entry.opaque ? { ...header, xattrs: { ...header.xattrs, [OPAQUE]: YES } } : header);
  }
  yield* bytes(passed, size) as AsyncIterable<Buffer>;
}

/** `y`, in base64. */
const YES = 'eQ==';

function whiteout({ path }: LayerEntry): TarHeader {
  return { path, type: 'character', mode: 0, uid: 0, gid: 0, size: 0, mtime: 0, device: [0, 0] };
}

async function onlyHeader(entry: Readable): Promise<TarHeader> {
  const headers: TarHeader[] = [];
  const blocks = Buffer.concat([...((await entry.toArray()) as Buffer[]), endOfArchive()]);
  await readTar(Readable.from([blocks]), async (header) => void headers.push(header));
  const [header] = headers;
  if (!header) throw new Error('an entry of the index is not in the archive');
  return header;
}
