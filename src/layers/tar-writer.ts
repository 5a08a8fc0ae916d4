// Writes layer.tar and its index in one pass: each entry's place and digest, and the digest of the whole.
import { createHash, type Hash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { encodeHeader, endOfArchive, fineTime, padding, type TarHeader } from '../lib/tar.ts';
import type { Guard } from './guard.ts';
import type { LayerEntry } from './layer.ts';

/** Bytes gathered before they are written. */
const BUFFER = 1 << 20;
/** How much of a file the guard sees: an ELF header. */
const HEAD = 64;

export interface LayerTar {
  entries: LayerEntry[];
  digest: string;
  size: number;
}

export interface LayerTarWriter {
  /** Begins an entry; for a file, `write` then gives exactly its `size` bytes. */
  add(header: TarHeader, extra?: { opaque?: boolean }): Promise<void>;
  write(chunk: Buffer): Promise<void>;
  whiteout(path: string): void;
  /** Ends the archive and syncs it. */
  finish(): Promise<LayerTar>;
}

/** The entries of an archive that nobody keeps. */
export async function indexOnly(work: (tar: LayerTarWriter) => Promise<void>): Promise<LayerEntry[]> {
  const writer = tarWriter(async () => {}, { look() {} });
  await work(writer);
  return (await writer.finish()).entries;
}

/** Opens `file` for writing and calls `work`; the file is closed in every case. */
export async function writeLayerTar(
  file: string,
  guard: Guard,
  work: (tar: LayerTarWriter) => Promise<void>,
): Promise<LayerTar> {
  const handle = await open(file, 'w');
  try {
    const writer = tarWriter((bytes) => handle.writev(bytes).then(() => undefined), guard);
    await work(writer);
    const tar = await writer.finish();
    await handle.datasync();
    return tar;
  } finally {
    await handle.close();
  }
}

function tarWriter(write: (bytes: Buffer[]) => Promise<void>, guard: Pick<Guard, 'look'>): LayerTarWriter {
  const whole = createHash('sha256');
  const entries: LayerEntry[] = [];
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  let offset = 0;
  let current: { entry: LayerEntry; hash: Hash; head: Buffer; left: number } | undefined;

  const put = async (bytes: Buffer): Promise<void> => {
    whole.update(bytes);
    waiting.push(bytes);
    waitingBytes += bytes.length;
    offset += bytes.length;
    if (waitingBytes < BUFFER) return;
    const batch = waiting;
    waiting = [];
    waitingBytes = 0;
    await write(batch);
  };
  const close = async (): Promise<void> => {
    if (!current) return;
    const { entry, hash, head, left } = current;
    if (left > 0) throw new Error(`/${entry.path} is ${left} bytes shorter than its header says`);
    if (left < 0) throw new Error(`/${entry.path} is longer than its header says`);
    entry.sha256 = hash.digest('hex');
    guard.look(entry.path, head, entry.sha256);
    await put(Buffer.alloc(padding(entry.size)));
    entry.length = offset - (entry.offset ?? 0);
    current = undefined;
  };
  return {
    async add(header, extra = {}) {
      await close();
      const { path, type, mode, uid, gid, size, target, device, xattrs } = header;
      if (type === 'other') throw new TypeError(`/${path} is of a kind that no layer holds`);
      const entry: LayerEntry = { path, type, mode, uid, gid, size, offset };
      if (target !== undefined) entry.target = target;
      if (device) entry.device = device;
      if (xattrs) entry.xattrs = xattrs;
      const time = fineTime(header);
      if (time) entry.time = time;
      if (extra.opaque) entry.opaque = true;
      entries.push(entry);
      await put(encodeHeader(header));
      entry.length = offset - (entry.offset ?? 0);
      if (type === 'file') current = { entry, hash: createHash('sha256'), head: Buffer.alloc(0), left: size };
    },
    async write(chunk) {
      if (!current) throw new Error('no file entry is open');
      if (current.head.length < HEAD) current.head = Buffer.concat([current.head, chunk.subarray(0, HEAD)]);
      current.hash.update(chunk);
      current.left -= chunk.length;
      await put(chunk);
    },
    whiteout(path) {
      entries.push({ path, type: 'whiteout', mode: 0, uid: 0, gid: 0, size: 0 });
    },
    async finish() {
      await close();
      await put(endOfArchive());
      await write(waiting);
      return { entries, digest: whole.digest('hex'), size: offset };
    },
  };
}
