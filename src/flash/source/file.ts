// An image's file, or a block device that one is copied from.
import { open, readFile, realpath, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { EXIT, PiimgError } from '../../lib/errors.ts';
import { stampOf } from '../../lib/stamp.ts';

/** Bytes read at a time: as many as a pipe takes. Pieces of a MiB on their way to a program that unpacks them take 60 MB more. */
const PIECE = 1 << 16;

export interface OpenedFile {
  /** At most as many bytes as were asked for. */
  beginning: Buffer;
  /** Bytes. */
  size: number;
  /** False for a block device. */
  regular: boolean;
  stamp: string;
}

/** Looks at the first `length` bytes. Throws PiimgError (usage) for what is not there, may not be read, or is no file. */
export async function openFile(name: string, length: number): Promise<OpenedFile> {
  const info = await stat(name).catch((error: unknown) => {
    throw unreadable(name, error);
  });
  if (info.isDirectory()) throw usage(`${name} is a folder`, 'Name the image in it.');
  if (!info.isFile() && !info.isBlockDevice()) {
    throw usage(`${name} is no file`, 'An image can come through a pipe as stdin: … | piimg flash - CARD');
  }
  const size = info.isFile() ? info.size : await deviceSize(name);
  const beginning = await readRange(name, 0, Math.min(length, size));
  return { beginning, size, regular: info.isFile(), stamp: stampOf(info) };
}

/** `length` bytes from byte `start` on, fewer at the end of the file. Throws PiimgError (usage) when it may not be read. */
export async function readRange(name: string, start: number, length: number): Promise<Buffer> {
  const file = await openToRead(name);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, start);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** The bytes from `start` to `end`, or to the end of the file. Throws PiimgError (usage) when it may not be read. */
export async function* fileBytes(
  name: string,
  { start = 0, end = Infinity, signal }: { start?: number; end?: number; signal: AbortSignal },
): AsyncGenerator<Buffer> {
  const file = await openToRead(name);
  try {
    for (let at = start; at < end;) {
      signal.throwIfAborted();
      const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(PIECE), 0, Math.min(PIECE, end - at), at);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
    }
  } finally {
    await file.close();
  }
}

async function openToRead(name: string): Promise<FileHandle> {
  return open(name).catch((error: unknown) => {
    throw unreadable(name, error);
  });
}

function unreadable(name: string, error: unknown): PiimgError {
  const { code = 'unknown reason' } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return usage(`There is no ${name}`, 'An image is a file, a URL, or - for stdin.');
  return usage(`${name} cannot be read (${code})`, 'Look who may read it: ls -l');
}

const usage = (message: string, hint: string): PiimgError => new PiimgError(message, { exitCode: EXIT.usage, hint });

/** Documentation/ABI/stable/sysfs-block: `size` is in sectors of 512 bytes, whatever those of the disk are. */
async function deviceSize(name: string): Promise<number> {
  const folder = `/sys/class/block/${path.basename(await realpath(name))}`;
  return Number(await readFile(`${folder}/size`, 'utf8').catch(() => '0')) * 512;
}
