// What a TCP port says: QEMU accepts connections even for a stopped machine, so that only bytes are an answer.
import { createConnection } from 'node:net';

/** Bytes after which an answer is not read further. */
const ENOUGH = 64 * 1024;

/**
 * Connects to 127.0.0.1:`port`, sends `send`, and returns what came until `expect` was in it (any byte without it), the other
 * side closed, or the signal ended it. Rejects when nothing came at all.
 */
export function firstBytes(
  port: number,
  { send = '', expect, signal }: { send?: string; expect?: string; signal: AbortSignal },
): Promise<string> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const socket = createConnection({ port, host: '127.0.0.1' });
    const end = (error: Error): void => {
      socket.destroy();
      signal.removeEventListener('abort', ended);
      if (bytes.length === 0) reject(error);
      else resolve(bytes.toString());
    };
    const ended = (): void => end(new Error('it accepted the connection and said nothing'));
    if (signal.aborted) return ended();
    signal.addEventListener('abort', ended);
    if (send !== '') socket.write(send);
    socket.on('data', (more) => {
      bytes = Buffer.concat([bytes, more]);
      if (expect === undefined || bytes.includes(expect) || bytes.length > ENOUGH) ended();
    });
    socket.on('error', end);
    socket.on('close', () => end(new Error('it closed the connection without a word')));
  });
}
