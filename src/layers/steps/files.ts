// Puts files into a layer with owners and modes of their own, whatever the host's are.
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { PiimgError } from '../../lib/errors.ts';
import { encodeHeader, endOfArchive, padding, type TarHeader } from '../../lib/tar.ts';
import type { PlannedFile } from '../../plan/plan.ts';
import { unchangedFile } from '../inputs.ts';
import { writeLayerTar, type LayerTar } from '../tar-writer.ts';
import type { StepContext } from './context.ts';
import { readInside } from './read-inside.ts';

/** Extracts the entries into the layer's tree. Owners by name are those of the image. */
export async function placeFiles(files: PlannedFile[], context: StepContext): Promise<string[]> {
  await extract(Readable.from(archive(entriesOf(files, context))), context);
  return [];
}

/**
 * The layer that holds nothing but `files`, as the archive `tar`: all is known, nothing has to be read back. They are extracted
 * into the layer's tree as well, for the layers above.
 */
export async function writeFilesLayer(files: PlannedFile[], tar: string, context: StepContext): Promise<LayerTar> {
  const written = await writeLayerTar(tar, context.guard, async (writer) => {
    for await (const { header, data } of entriesOf(files, context)) {
      await writer.add(header);
      for await (const chunk of data) await writer.write(chunk);
    }
  });
  await extract(createReadStream(tar), context);
  return written;
}

function extract(input: Readable, { sandbox, tree, signal }: StepContext): Promise<unknown> {
  const argv = ['tar', '-x', '-p', '--numeric-owner', '--keep-directory-symlink', '-C', tree];
  return sandbox.tool(argv, { writable: [tree], input, signal });
}

/** Looks up owners: names from the image's passwd and group, else numbers. */
interface Ids {
  user(name: string): number;
  group(name: string): number;
}

function sorted(files: PlannedFile[]): PlannedFile[] {
  return [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
}

interface Entry {
  header: TarHeader;
  data: Iterable<Buffer> | AsyncIterable<Buffer>;
}

/** The files by name, and before each the folders that lead to it. */
async function* entriesOf(planned: PlannedFile[], context: StepContext): AsyncGenerator<Entry> {
  const ids = await readIds(planned, context);
  const files = sorted(planned);
  const made = new Set(['']);
  const described = new Set(files.map(({ path }) => path));
  const { epoch: mtime } = context;
  for (const file of files) {
    for (const parent of parents(file.path)) {
      if (made.has(parent) || described.has(parent)) continue;
      made.add(parent);
      const { mode, uid, gid } = await lowerFolder(parent, context);
      yield { header: { path: parent, type: 'directory', mode, uid, gid, size: 0, mtime }, data: [] };
    }
    const content = file.content === undefined ? undefined : Buffer.from(file.content);
    const header: TarHeader = {
      path: file.path,
      type: file.type,
      mode: file.type === 'symlink' ? 0o777 : file.mode,
      uid: ids.user(file.owner),
      gid: ids.group(file.group),
      size: file.type === 'file' ? (file.source?.size ?? content?.length ?? 0) : 0,
      mtime,
      ...(file.target !== undefined && { target: file.target }),
    };
    const source = file.type === 'file' ? file.source : undefined;
    if (source) yield { header, data: unchangedFile(context.file(source.sha256), source) };
    else yield { header, data: header.size > 0 && content ? [content] : [] };
  }
}

async function* archive(entries: AsyncIterable<Entry>): AsyncGenerator<Buffer> {
  for await (const { header, data } of entries) {
    yield encodeHeader(header);
    yield* data;
    yield Buffer.alloc(padding(header.size));
  }
  yield endOfArchive();
}

function parents(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, i) => parts.slice(0, i + 1).join('/'));
}

/** What the layers below say of a folder: a new layer must not change it by passing through. */
async function lowerFolder(path: string, context: StepContext): Promise<{ mode: number; uid: number; gid: number }> {
  for (const { entries } of context.below.toReversed()) {
    const entry = folders(await entries).get(path);
    if (entry) return entry;
  }
  return { mode: 0o755, uid: 0, gid: 0 };
}

const indexed = new WeakMap<object, Map<string, { mode: number; uid: number; gid: number }>>();

function folders(
  entries: { path: string; type: string; mode: number; uid: number; gid: number }[],
): Map<string, { mode: number; uid: number; gid: number }> {
  let map = indexed.get(entries);
  if (!map) {
    map = new Map(entries.filter(({ type }) => type === 'directory').map((entry) => [entry.path, entry]));
    indexed.set(entries, map);
  }
  return map;
}

/** Nearly all files are root's, for which nothing has to be read. */
async function readIds(files: PlannedFile[], context: StepContext): Promise<Ids> {
  const table = async (path: string, names: string[]): Promise<Map<string, number>> => {
    const known = new Map([['root', 0]]);
    if (names.every((name) => known.has(name) || NUMBER.test(name))) return known;
    const lines = ((await readInside(path, context)) ?? '').split('\n').map((line) => line.split(':'));
    return new Map([...lines.map(([name = '', , id]): [string, number] => [name, Number(id)]), ...known]);
  };
  const [users, groups] = await Promise.all([
    table(
      'etc/passwd',
      files.map(({ owner }) => owner),
    ),
    table(
      'etc/group',
      files.map(({ group }) => group),
    ),
  ]);
  const look = (kind: string, from: Map<string, number>, name: string): number => {
    const id = from.get(name) ?? (NUMBER.test(name) ? Number(name) : undefined);
    if (id !== undefined) return id;
    throw new PiimgError(`The image has no ${kind} “${name}”`, {
      hint: `Name it under ${kind}s: in the role, or install the package that makes it.`,
    });
  };
  return { user: (name) => look('user', users, name), group: (name) => look('group', groups, name) };
}

const NUMBER = /^\d+$/;
