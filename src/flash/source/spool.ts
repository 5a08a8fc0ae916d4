// Standard input for several cards: kept in a file without a name while it comes, so that each reading of it goes at its own pace.
import { openSync, read, write } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { constants } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { getSystemErrorMap, promisify } from 'node:util';
import { giveBack } from '../../host/give-back.ts';
import { PiimgError } from '../../lib/errors.ts';
import type { Source } from './source.ts';
import { stdinBytes } from './stdin.ts';

/** Plain data, which threads of this process share. */
export interface Spool {
  folder: string;
  fd: number;
  /** How many bytes there are. */
  length: BigInt64Array<SharedArrayBuffer>;
  /** How it ended, one of END, and the system's error, a negative number. */
  ended: Int32Array<SharedArrayBuffer>;
}

const END = { notYet: 0, all: 1, unread: 2, unkept: 3 };
/** Bytes read at a time: as many as a pipe takes. */
const PIECE = 1 << 16;
/** Milliseconds until one who has read all that there is looks again. */
const LOOK = 20;

/**
 * Has `work` read the source, as often as it likes where several cards may come to need that: what is left of stdin is then kept in a file of
 * `folder`, which is made where it is not there. It takes as much room there as comes, and is gone with this process. Throws the system's
 * error when there can be no such file.
 */
export async function readBySeveral<T>(
  source: Source,
  { readers, folder }: { readers: number; folder: string },
  work: (source: Source) => Promise<T>,
): Promise<T> {
  if (source.kind !== 'stdin' || readers < 2) return work(source);
  const spool: Spool = {
    folder,
    // Never closed: threads that have been told to stop may still read.
    fd: await nameless(folder),
    length: new BigInt64Array(new SharedArrayBuffer(8)),
    ended: new Int32Array(new SharedArrayBuffer(8)),
  };
  const enough = new AbortController();
  const kept = keep(spool, enough.signal);
  try {
    return await work({ ...source, spool, rereadable: true });
  } finally {
    enough.abort();
    await kept;
  }
}

async function nameless(folder: string): Promise<number> {
  const made = await mkdir(folder, { recursive: true });
  for (const one of made === undefined ? [] : [made, folder]) await giveBack(one);
  const own = await mkdtemp(path.join(folder, `${process.pid}-`));
  const fd = openSync(path.join(own, 'stdin'), 'wx+', 0o600);
  await rm(own, { recursive: true });
  return fd;
}

async function keep({ fd, length, ended }: Spool, signal: AbortSignal): Promise<void> {
  const end = (how: number, error?: unknown): void => {
    Atomics.store(ended, 1, (error as NodeJS.ErrnoException | undefined)?.errno ?? -constants.errno.EIO);
    Atomics.store(ended, 0, how);
  };
  const pieces = stdinBytes(signal);
  for (let at = 0; ;) {
    const next = await pieces.next().catch((error: unknown) => end(END.unread, error));
    if (next === undefined) return;
    if (next.done) return end(END.all);
    const piece = next.value;
    try {
      for (let done = 0; done < piece.length;)
        done += (await promisify(write)(fd, piece, done, piece.length - done, at + done)).bytesWritten;
    } catch (error) {
      end(END.unkept, error);
      await pieces.return(undefined);
      return;
    }
    at += piece.length;
    Atomics.store(length, 0, BigInt(at));
  }
}

/** All that comes, from its beginning. Throws what aborted `signal`, and PiimgError when stdin could not be read or kept. */
export async function* spoolBytes(spool: Spool, signal: AbortSignal): AsyncGenerator<Buffer> {
  const { fd, length, ended } = spool;
  for (let at = 0; ;) {
    signal.throwIfAborted();
    const how = Atomics.load(ended, 0);
    const there = Number(Atomics.load(length, 0));
    if (at < there) {
      const wanted = Math.min(PIECE, there - at);
      const { buffer, bytesRead } = await promisify(read)(fd, Buffer.allocUnsafe(wanted), 0, wanted, at);
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
    } else if (how === END.all) return;
    else if (how !== END.notYet) throw failure(spool, how);
    else await pause(LOOK, undefined, { signal }).catch(() => {});
  }
}

function failure({ folder, ended }: Spool, how: number): PiimgError {
  const reason = getSystemErrorMap().get(Atomics.load(ended, 1))?.[1] ?? 'unknown reason';
  if (how === END.unread)
    return new PiimgError(`stdin cannot be read: ${reason}`, { hint: 'Look at what it comes from.' });
  return new PiimgError(`stdin could not be kept in ${folder} for several cards: ${reason}`, {
    hint: 'Make room there, name another folder with PIIMG_CACHE, or write one card at a time, which keeps nothing.',
  });
}
