// How large the image in a packed file is, where the file tells.
import { realpath } from 'node:fs/promises';
import { run } from '../../host/exec.ts';
import type { Progress } from '../../lib/progress.ts';
import { damaged, lastWords } from './damaged.ts';
import { readRange } from './file.ts';
import type { Packing } from './packing.ts';
import { readSource } from './read.ts';
import type { Source } from './source.ts';

/**
 * Bytes of what is in a file, as its index or its frames say. undefined for gz (the last four bytes are the size modulo 4 GiB, and of the
 * last member) and for a zst made from a pipe. Throws PiimgError for a damaged file, exit code 4 when the program is not installed.
 */
export async function unpackedSize(name: string, packing: Packing, signal: AbortSignal): Promise<number | undefined> {
  if (packing === 'xz') {
    const list = await listed(['xz', '--robot', '--list', '--', await realpath(name)], name, signal);
    // xz(1), ROBOT MODE: totals, streams, blocks, bytes packed, bytes unpacked.
    return numberIn(list, /^totals\t\d+\t\d+\t\d+\t(\d+)\t/m);
  }
  if (packing === 'zst') {
    const list = await listed(['zstd', '--list', '--verbose', '--', await realpath(name)], name, signal);
    return numberIn(list, /^Decompressed Size: .*\((\d+) B\)$/m);
  }
  return undefined;
}

async function listed(command: string[], name: string, signal: AbortSignal): Promise<string> {
  const { stdout, stderr, exitCode } = await run(command, { signal, env: { LC_ALL: 'C' }, okCodes: [0, 1] });
  if (exitCode !== 0) throw damaged(name, lastWords(stderr, command[0] ?? ''));
  return stdout;
}

function numberIn(text: string, pattern: RegExp): number | undefined {
  const digits = pattern.exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/**
 * Bytes of the image in a file that does not tell them, by unpacking it once, but no further than just beyond `most`. Undefined for what can
 * be read only once, or comes from elsewhere, and for a gz whose image has as many as `reach`, modulo 4 GiB. Throws as `readSource`.
 */
export async function countedSize(
  source: Source,
  { reach, most, progress, signal }: { reach: number; most: number; progress: Progress; signal: AbortSignal },
): Promise<number | undefined> {
  const { kind, name, packing, packedSize = 0 } = source;
  if (kind !== 'file') return undefined;
  // RFC 1952, 2.3.1: ISIZE is the last of a gzip member.
  const isize = packing === 'gz' && packedSize >= 4 ? (await readRange(name, packedSize - 4, 4)).readUInt32LE() : -1;
  if (isize === reach % 2 ** 32) return undefined;
  return progress.step(`size of ${name}, which does not tell it`, async (step) => {
    let size = 0;
    for await (const piece of readSource(source, { signal })) {
      size += piece.length;
      step.update({ done: size, unit: 'bytes' });
      if (size > most) break;
    }
    return size;
  });
}
