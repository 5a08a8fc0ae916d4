// Standard input, taken in two parts: by one thread what it looks at, by another one the rest.
import { fstatSync, read } from 'node:fs';
import { Socket } from 'node:net';
import { promisify } from 'node:util';
import { isatty } from 'node:tty';
import { EXIT, PiimgError } from '../../lib/errors.ts';

const STDIN = 0;
/** Bytes read at a time, of a file. */
const PIECE = 1 << 16;

/**
 * `length` bytes or a little more; fewer only where stdin ends. What was taken is gone for whoever reads next, and nothing else is.
 * Throws PiimgError (usage) for a terminal, and what aborted `signal`.
 */
export async function takeStdin(length: number, signal: AbortSignal): Promise<Buffer> {
  if (isatty(STDIN)) {
    throw new PiimgError('stdin is a terminal, no image', {
      exitCode: EXIT.usage,
      hint: 'Pipe one: curl … | piimg flash - CARD',
    });
  }
  signal.throwIfAborted();
  if (!isPipe()) return takeFromFile(length);
  const pieces: Buffer[] = [];
  let taken = 0;
  const socket = openPipe(signal);
  return new Promise((resolve, reject) => {
    socket.on('data', (piece: Buffer) => {
      pieces.push(piece);
      taken += piece.length;
      if (taken < length) return;
      // What it has read ahead would go with it.
      for (let ahead = takeAhead(socket); ahead; ahead = takeAhead(socket)) pieces.push(ahead);
      socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => (signal.aborted ? reject(reasonOf(signal)) : resolve(Buffer.concat(pieces))));
  });
}

/** All that is left of stdin. Throws what aborted `signal`. */
export async function* stdinBytes(signal: AbortSignal): AsyncGenerator<Buffer> {
  if (isPipe()) {
    try {
      for await (const piece of openPipe(signal)) yield piece as Buffer;
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
    return;
  }
  for (;;) {
    signal.throwIfAborted();
    const piece = await readFileStdin();
    if (piece.length === 0) return;
    yield piece;
  }
}

const isPipe = (): boolean => {
  const info = fstatSync(STDIN);
  return info.isFIFO() || info.isSocket();
};

/**
 * Not `fs.read`: a thread that waits in there for a pipe cannot be ended before something comes. libuv closes none of the descriptors
 * 0 to 2, so the next one can open it again.
 */
const openPipe = (signal: AbortSignal): Socket => new Socket({ fd: STDIN, readable: true, writable: false, signal });

const takeAhead = (socket: Socket): Buffer | null => socket.read() as Buffer | null;

async function takeFromFile(length: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let taken = 0; taken < length;) {
    const piece = await readFileStdin(length - taken);
    if (piece.length === 0) break;
    pieces.push(piece);
    taken += piece.length;
  }
  return Buffer.concat(pieces);
}

/** From where the descriptor is. */
async function readFileStdin(length = PIECE): Promise<Buffer> {
  const { buffer, bytesRead } = await promisify(read)(STDIN, Buffer.allocUnsafe(length), 0, length, null);
  return buffer.subarray(0, bytesRead);
}

const reasonOf = (signal: AbortSignal): Error => signal.reason as Error;
