// The first bytes of an image, for its partition table and what it says of itself.
import { EXIT, PiimgError } from '../../lib/errors.ts';
import { readSource } from './read.ts';
import type { Source } from './source.ts';
import { takeStdin } from './stdin.ts';
import { unpack } from './unpack.ts';

/** More than `length` bytes may be needed where packing gains nothing. */
const SLACK = 1 << 20;
/** No more is kept of stdin. */
const MOST = 64 << 20;

/**
 * The first `length` bytes of the image, fewer where it ends before. What is taken of stdin for that is in the Source to go on with, so
 * that `readSource` still begins at byte 0. Throws as `readSource` does.
 */
export async function readBeginning(
  source: Source,
  length: number,
  signal: AbortSignal,
): Promise<{ source: Source; bytes: Buffer }> {
  if (source.kind !== 'stdin') {
    const { bytes, failed } = await collect(readSource(source, { signal }), length);
    if (failed) throw failed.error;
    return { source, bytes };
  }
  let prefix = Buffer.from(source.prefix ?? []);
  for (let wanted = length + SLACK; ; wanted *= 2) {
    prefix = Buffer.concat([prefix, await takeStdin(wanted - prefix.length, signal)]);
    const { bytes, failed } = await collect(
      unpack(source, () => oneByOne(prefix), signal),
      length,
    );
    const last = prefix.length < wanted || wanted * 2 > MOST;
    // Programs complain of a part of a file that it is not all of it.
    if (failed && (last || signal.aborted || isMissingTool(failed.error))) throw failed.error;
    if (last || bytes.length === length) return { source: { ...source, prefix }, bytes };
  }
}

interface Collected {
  bytes: Buffer;
  /** Why there is not more. */
  failed?: { error: unknown };
}

async function collect(pieces: AsyncGenerator<Uint8Array>, length: number): Promise<Collected> {
  const kept: Uint8Array[] = [];
  let size = 0;
  const bytes = (): Buffer => Buffer.concat(kept).subarray(0, length);
  try {
    for await (const piece of pieces) {
      kept.push(piece);
      size += piece.length;
      if (size >= length) break;
    }
    return { bytes: bytes() };
  } catch (error) {
    return { bytes: bytes(), failed: { error } };
  }
}

async function* oneByOne(prefix: Buffer): AsyncGenerator<Buffer> {
  yield prefix;
}

const isMissingTool = (error: unknown): boolean => error instanceof PiimgError && error.exitCode === EXIT.missingTool;
