// Reads an image, wherever it is and however it is packed.
import { createHash } from 'node:crypto';
import { PiimgError } from '../../lib/errors.ts';
import type { Bytes } from './program.ts';
import type { Source } from './source.ts';
import { packedBytes, unpack } from './unpack.ts';

/**
 * The image's bytes from byte `from` on, in pieces of whatever length. A raw file is read from there; what comes before is read and left
 * out of all others. Whoever ends it early ends its programs. Throws PiimgError naming the source when it is damaged, or turns out longer
 * or shorter than its `size`, or at its end not what its `sha256` says; what aborted `signal`. Works in a worker thread.
 */
export async function* readSource(
  source: Source,
  { from = 0, signal }: { from?: number; signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const { size } = source;
  let at = source.kind === 'file' && source.packing === 'none' && source.sha256 === undefined ? from : 0;
  for await (const piece of unpack(source, packedOf(source, at), signal)) {
    const end = at + piece.length;
    if (size !== undefined && end > size) throw wrongSize(source, `is larger than the ${size} bytes it should have`);
    if (end > from) yield piece.subarray(Math.max(0, from - at));
    at = end;
  }
  if (size !== undefined && at < size) throw wrongSize(source, `ends at byte ${at} of ${size}`);
}

function packedOf(source: Source, from: number): Bytes {
  const { member, sha256 } = source;
  if (sha256 !== undefined) return checked(source.name, packedBytes(source), sha256);
  return member ? packedBytes(source, member.start, member.start + member.packed) : packedBytes(source, from);
}

/** Whoever reads them to their end has the bytes that were meant, or an error. */
function checked(name: string, packed: Bytes, sha256: string): Bytes {
  return async function* (signal) {
    const hash = createHash('sha256');
    for await (const piece of packed(signal)) {
      hash.update(piece);
      yield piece;
    }
    const found = hash.digest('hex');
    if (found === sha256) return;
    throw new PiimgError(`${name} has sha256 ${found}, not ${sha256}`, {
      hint: 'It is damaged, or another file than the one whose digest that is. It is that of the file as it is offered, packed.',
    });
  };
}

function wrongSize({ name, packing }: Source, what: string): PiimgError {
  const message = packing === 'none' ? `${name} ${what}` : `The image in ${name} ${what}`;
  return new PiimgError(message, { hint: 'It has changed, or is damaged: download, copy or build it again.' });
}
