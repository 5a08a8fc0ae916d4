// What a program prints, byte by byte, perhaps made from what it reads; it ends with its reader.
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { dieWithParent, run } from '../../host/exec.ts';

/** Bytes that come as they are asked for; waiting for them ends with `signal`. */
export type Bytes = (signal: AbortSignal) => AsyncIterable<Uint8Array>;

/**
 * The program's stdout. When nobody wants more of it, or `signal` says so, the program and its input end before this does. Throws what
 * `input` throws, or the PiimgError of a program that failed.
 */
export async function* programBytes(
  command: string[],
  { input, okCodes, signal }: { input?: Bytes; okCodes?: number[]; signal: AbortSignal },
): AsyncGenerator<Buffer> {
  const [stop, enough] = [new AbortController(), new AbortController()];
  let fault: { error: unknown } | undefined;
  const untilEnough = async function* (bytes: Bytes): AsyncGenerator<Uint8Array> {
    try {
      yield* bytes(AbortSignal.any([signal, enough.signal]));
    } catch (error) {
      if (enough.signal.aborted) return;
      fault = { error };
      stop.abort();
    }
  };
  const stdin = input && Readable.from(untilEnough(input), { objectMode: false });
  const either = AbortSignal.any([signal, stop.signal]);
  const program = run(dieWithParent(command), {
    ...(stdin && { input: stdin }),
    stdout: 'stream',
    ...(okCodes && { okCodes }),
    signal: either,
    env: { LC_ALL: 'C.UTF-8' },
  });
  const failure = program.then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  try {
    for await (const piece of program.stdout) yield piece as Buffer;
    // It is about to exit, while its input may wait for a network.
    enough.abort();
    await failure;
  } catch {
    // Its stdout broke off: why is in `failure`.
  } finally {
    enough.abort();
    stop.abort();
    program.stdout.destroy();
    stdin?.destroy();
    await failure;
    if (stdin && !stdin.closed) await once(stdin, 'close');
  }
  const failed = (signal.aborted ? undefined : fault) ?? (await failure);
  if (failed) throw failed.error;
}
