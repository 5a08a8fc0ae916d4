// From the bytes of a file, however packed, to those of the image.
import { EXIT, PiimgError } from '../../lib/errors.ts';
import { damaged, lastWords } from './damaged.ts';
import { fileBytes, readRange } from './file.ts';
import type { Packing } from './packing.ts';
import { type Bytes, programBytes } from './program.ts';
import type { Source } from './source.ts';
import { spoolBytes } from './spool.ts';
import { stdinBytes } from './stdin.ts';
import { urlBytes } from './url.ts';
import { imageInZip, memberBytes } from './zip-bytes.ts';

const PROGRAMS: Record<Exclude<Packing, 'none' | 'zip'>, string[]> = {
  gz: ['gzip', '-dc'],
  xz: ['xz', '-dc'],
  zst: ['zstd', '-dcq'],
};

/** What lies there, as it lies there; of a file from byte `start` to byte `end`. */
export const packedBytes =
  (source: Source, start = 0, end = Infinity): Bytes =>
  (signal) => {
    if (source.kind === 'file') return fileBytes(source.name, { start, end, signal });
    if (source.kind === 'url')
      return urlBytes(source.url ?? source.name, source.version ?? {}, {
        ...(source.from && { from: source.from }),
        signal,
      });
    return afterPrefix(source, signal);
  };

async function* afterPrefix({ prefix, spool }: Source, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  if (prefix) yield prefix;
  yield* spool ? spoolBytes(spool, signal) : stdinBytes(signal);
}

/**
 * The image in `packed`. Throws PiimgError naming the source: what is damaged, cut off or changes while it is read; exit code 4 for a
 * program that is not installed; what aborted `signal`.
 */
export async function* unpack(source: Source, packed: Bytes, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const { packing, member } = source;
  const name = source.kind === 'stdin' ? 'stdin' : source.name;
  if (packing === 'none') yield* packed(signal);
  else if (packing !== 'zip') yield* unpackWith(source, PROGRAMS[packing], packed, signal);
  else if (member && source.sha256 === undefined) yield* memberBytes(member, packed, name, signal);
  else yield* imageInZip(packed, name, signal);
}

/** Whether a file ends with the metadata of OpenWrt's firmware utilities: fwtool's trailer of 16 bytes, whose magic is `FWx0`. */
async function hasTrailer({ kind, name, packedSize = 0 }: Source): Promise<boolean> {
  if (kind !== 'file') return false;
  return (await readRange(name, Math.max(0, packedSize - 16), 4)).toString('latin1') === 'FWx0';
}

async function* unpackWith(
  source: Source,
  command: string[],
  input: Bytes,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let fault: unknown;
  const name = source.kind === 'stdin' ? 'stdin' : source.name;
  const noted: Bytes = async function* (either) {
    try {
      yield* input(either);
    } catch (error) {
      fault = error;
      throw error;
    }
  };
  try {
    // gzip(1): 2 is a warning, of bytes behind what was packed. They may as well be a damaged part of it.
    const okCodes = command[0] === 'gzip' && (await hasTrailer(source)) ? [0, 2] : [0];
    yield* programBytes(command, { input: noted, okCodes, signal });
  } catch (error) {
    const plain = error instanceof PiimgError && error.exitCode === EXIT.failed && error.detail !== undefined;
    if (error === fault || signal.aborted || !plain) throw error;
    throw damaged(name, lastWords(error.detail ?? '', command[0] ?? ''), error);
  }
}
