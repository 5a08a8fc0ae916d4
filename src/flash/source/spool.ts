// Standard input for several cards: kept in a file without a name while it comes, so that each reading of it goes at its own pace.
import { closeSync, mkdirSync, openSync, read, rmSync, write } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { getSystemErrorMap, promisify } from 'node:util';
import { PiimgError } from '../../lib/errors.ts';
import type { Source } from './source.ts';
import { stdinBytes } from './stdin.ts';

/** Plain data, which threads of this process share. */
export interface Spool {
  folder: string;
  fd: number;
  /** How many bytes there are. */
  length: BigInt64Array<SharedArrayBuffer>;
  /** 0 while more comes; 1 when that was all; below, the negative number of the system's error. */
  ended: Int32Array<SharedArrayBuffer>;
}

const ALL = 1;
/** Bytes read at a time: as many as a pipe takes. */
const PIECE = 1 << 16;
/** Milliseconds until one who has read all that there is looks again. */
const LOOK = 20;

/**
 * Has `work` read the source, as often as it likes where several cards may come to need that: what is left of stdin is then kept in a file of
 * `folder`, which is made where it is not there. It takes as much room there as comes, and is gone with `work`, or with this process.
 * Throws the system's error when there can be no such file.
 */
export async function readBySeveral<T>(
  source: Source,
  { readers, folder }: { readers: number; folder: string },
  work: (source: Source) => Promise<T>,
): Promise<T> {
  if (source.kind !== 'stdin' || readers < 2) return work(source);
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `stdin-${process.pid}`);
  const fd = openSync(file, 'w+', 0o600);
  rmSync(file);
  const spool: Spool = {
    folder,
    fd,
    length: new BigInt64Array(new SharedArrayBuffer(8)),
    ended: new Int32Array(new SharedArrayBuffer(4)),
  };
  const enough = new AbortController();
  const kept = keep(spool, enough.signal);
  try {
    return await work({ ...source, spool, rereadable: true });
  } finally {
    enough.abort();
    await kept;
    closeSync(fd);
  }
}

async function keep({ fd, length, ended }: Spool, signal: AbortSignal): Promise<void> {
  let at = 0;
  try {
    for await (const piece of stdinBytes(signal)) {
      for (let done = 0; done < piece.length;) {
        done += (await promisify(write)(fd, piece, done, piece.length - done, at + done)).bytesWritten;
      }
      at += piece.length;
      Atomics.store(length, 0, BigInt(at));
    }
    Atomics.store(ended, 0, ALL);
  } catch (error) {
    Atomics.store(ended, 0, (error as NodeJS.ErrnoException).errno ?? -constants.errno.EIO);
  }
}

/** All that comes, from its beginning. Throws what aborted `signal`, and PiimgError when stdin could not be kept. */
export async function* spoolBytes({ folder, fd, length, ended }: Spool, signal: AbortSignal): AsyncGenerator<Buffer> {
  for (let at = 0; ;) {
    signal.throwIfAborted();
    const end = Atomics.load(ended, 0);
    const there = Number(Atomics.load(length, 0));
    if (at < there) {
      const wanted = Math.min(PIECE, there - at);
      const { buffer, bytesRead } = await promisify(read)(fd, Buffer.allocUnsafe(wanted), 0, wanted, at);
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
    } else if (end === ALL) return;
    else if (end < 0) throw notKept(folder, end);
    else await pause(LOOK, undefined, { signal });
  }
}

const notKept = (folder: string, errno: number): PiimgError =>
  new PiimgError(
    `stdin could not be kept in ${folder} for several cards: ${getSystemErrorMap().get(errno)?.[1] ?? 'unknown reason'}`,
    {
      hint: 'Make room there, name another folder with PIIMG_CACHE, or write one card at a time, which keeps nothing.',
    },
  );
