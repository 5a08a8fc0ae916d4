// Streams merged layers as one tar by copying byte ranges of their layer.tar files, checking every file on the way.
import { createHash, hash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { canonicalJson } from '../lib/digest.ts';
import { PiimgError } from '../lib/errors.ts';
import {
  BLOCK,
  encodeHeader,
  endOfArchive,
  fineTime,
  padding,
  parseHeader,
  parsePax,
  paxSize,
  type TarHeader,
} from '../lib/tar.ts';
import type { Layer, LayerEntry } from '../layers/layer.ts';
import type { MergedEntry } from './merge.ts';

/** Bytes read and handed on at once: enough that calls cost nothing beside hashing, little enough to stay in cache. */
const CHUNK = 1 << 17;

/** The part of a layer.tar that is in memory. */
interface Window {
  file: FileHandle;
  start: number;
  bytes: Buffer;
}

/**
 * The tar of `entries`, in their order, without the two blocks that end an archive (`endedTar` adds them).
 * Yields pieces of about 128 KiB (CHUNK). Throws PiimgError naming layer and path when a header or a file's content is not what
 * the layer's index says; its `cause` is `{ layer, path }` with the layer's key, for whoever can build it again.
 */
export async function* mergedTar(layers: Layer[], entries: MergedEntry[]): AsyncGenerator<Buffer> {
  const opened: { layer: Layer; window: Window }[] = [];
  let pieces: Buffer[] = [];
  let collected = 0;
  const collect = (piece: Buffer) => {
    pieces.push(piece);
    collected += piece.length;
    return collected >= CHUNK;
  };
  const flush = () => {
    const chunk = Buffer.concat(pieces, collected);
    pieces = [];
    collected = 0;
    return chunk;
  };
  try {
    for (const layer of layers) {
      const file = await open(join(layer.dir, 'layer.tar'));
      opened.push({ layer, window: { file, start: 0, bytes: Buffer.alloc(0) } });
    }
    for (const { layer: number, entry, source } of entries) {
      const from = opened[number];
      if (from === undefined) throw new RangeError(`There is no layer ${number}.`);
      const { layer, window } = from;
      const size = source.type === 'file' ? source.size : 0;
      const { offset: start = 0, length = 0 } = source;
      const contentStart = start + length - size - padding(size);
      const contentEnd = contentStart + size;
      const end = start + length;

      if (!holds(window, start, contentStart)) await fill(window, start, contentStart);
      const bytes = slice(window, start, contentStart);
      const header = headerIn(bytes);
      if (header === undefined || !agrees(header, source)) throw damaged(layer, source);
      if (collect(entry === source ? bytes : encodeHeader(renamed(header, entry)))) yield flush();
      if (entry.type !== 'file') continue;

      const inOnePiece = holds(window, contentStart, end);
      const hashing = inOnePiece ? undefined : createHash('sha256');
      for (let at = contentStart; at < end;) {
        if (!holds(window, at, at + 1)) await fill(window, at, at + 1);
        const piece = slice(window, at, end);
        if (piece.length === 0) throw damaged(layer, source);
        hashing?.update(piece.subarray(0, Math.max(0, contentEnd - at)));
        at += piece.length;
        if (collect(piece)) yield flush();
      }
      const digest = hashing?.digest('hex') ?? hash('sha256', slice(window, contentStart, contentEnd), 'hex');
      if (digest !== source.sha256) throw damaged(layer, source);
    }
    if (collected > 0) yield flush();
  } finally {
    for (const { window } of opened) await window.file.close();
  }
}

/** Several tars as one archive. */
export async function* endedTar(...parts: (Iterable<Buffer> | AsyncIterable<Buffer>)[]): AsyncGenerator<Buffer> {
  for (const part of parts) yield* part;
  yield endOfArchive();
}

/** A tar of root's files that are in memory; `mtime` in seconds. */
export function* tarOf(files: { path: string; content: Buffer }[], mtime: number): Generator<Buffer> {
  for (const { path, content } of files) {
    yield encodeHeader({ path, type: 'file', mode: 0o644, uid: 0, gid: 0, size: content.length, mtime });
    yield content;
    yield Buffer.alloc(padding(content.length));
  }
}

/** The header that stands in `bytes`, alone or after a pax header; `undefined` when there is no intact one. */
function headerIn(bytes: Buffer): TarHeader | undefined {
  try {
    const size = paxSize(bytes);
    if (size === undefined && bytes.length !== BLOCK) return undefined;
    const pax = size === undefined ? undefined : parsePax(bytes.subarray(BLOCK, BLOCK + size));
    return parseHeader(bytes.subarray(-BLOCK), pax);
  } catch {
    return undefined;
  }
}

function agrees(header: TarHeader, entry: LayerEntry): boolean {
  const keys = ['path', 'type', 'mode', 'uid', 'gid', 'size', 'target'] as const;
  return (
    keys.every((key) => header[key] === entry[key]) &&
    canonicalJson([header.device, header.xattrs, fineTime(header)]) ===
      canonicalJson([entry.device, entry.xattrs, entry.time])
  );
}

function renamed(header: TarHeader, to: LayerEntry): TarHeader {
  if (to.type === 'whiteout') throw new TypeError(`/${to.path}: a whiteout is not in a tar`);
  return { ...header, path: to.path, type: to.type, target: to.target };
}

function holds(window: Window, from: number, to: number): boolean {
  return from >= window.start && to <= window.start + window.bytes.length;
}

/** Up to the end of the window, where that comes before `to`. */
function slice(window: Window, from: number, to: number): Buffer {
  return window.bytes.subarray(from - window.start, to - window.start);
}

/** Reads a chunk from `from` on; into new memory, because pieces of the last one may still be on their way. */
async function fill(window: Window, from: number, to: number): Promise<void> {
  const buffer = Buffer.allocUnsafeSlow(Math.max(CHUNK, to - from));
  const { bytesRead } = await window.file.read(buffer, 0, buffer.length, from);
  window.start = from;
  window.bytes = buffer.subarray(0, bytesRead);
}

function damaged(layer: Layer, entry: LayerEntry): PiimgError {
  return new PiimgError(`Layer "${layer.index.title}" is damaged: ${entry.path || '/'} is not what was stored.`, {
    hint: `Run \`piimg cache verify\`, then build again. The layer is in ${layer.dir}.`,
    cause: { layer: layer.index.key, path: entry.path },
  });
}
