// The image in a zip, unpacked and checked, be it a file whose directory is known or a stream.
import { crc32 } from 'node:zlib';
import { EXIT, PiimgError } from '../../lib/errors.ts';
import { damaged } from './damaged.ts';
import { inflated } from './inflate.ts';
import { type Pieces, piecesOf } from './pieces.ts';
import type { Bytes } from './program.ts';
import {
  checkReadable,
  chooseMember,
  LONGEST_HEADER,
  type Member,
  parseLocalHeader,
  severalImages,
  STORED,
  type ZipEntry,
} from './zip.ts';

/** The image whose content is `packed`. Throws PiimgError when it is damaged or cut off; what aborted `signal`. */
export function memberBytes(member: Member, packed: Bytes, zip: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  return reading(packed, signal, (pieces) => content(pieces, member, zip));
}

/**
 * The image of a zip that comes as a stream: the first file that may be one. Throws PiimgError (usage), after all of it, when another one
 * follows; else as `memberBytes`.
 */
export function imageInZip(packed: Bytes, zip: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  return reading(packed, signal, async function* (pieces) {
    const seen: ZipEntry[] = [];
    for (let entry = await nextEntry(pieces, zip); entry; entry = await nextEntry(pieces, zip)) {
      const former = seen.find(({ image }) => image);
      if (entry.image && former) throw severalImages(zip, `${former.name}, ${entry.name}`);
      seen.push(entry);
      const skipped = !entry.image && !entry.described;
      const bytes = skipped ? pieces.upTo(entry.packed) : content(pieces, entry, zip);
      for await (const piece of bytes) if (entry.image) yield piece;
    }
    chooseMember(seen, zip);
    // Its directory: whoever sends it, or works out its digest, is heard to the end.
    for await (const piece of pieces.upTo(Infinity)) void piece;
  });
}

/** Lends the bytes; whatever they wait for ends with `work`. */
async function* reading(
  packed: Bytes,
  signal: AbortSignal,
  work: (pieces: Pieces) => AsyncGenerator<Buffer>,
): AsyncGenerator<Buffer> {
  const stop = new AbortController();
  const iterator = packed(AbortSignal.any([signal, stop.signal]))[Symbol.asyncIterator]();
  try {
    yield* work(piecesOf(iterator));
  } finally {
    stop.abort();
    await iterator.return?.();
  }
}

const ENTRY = Buffer.from('PK\x03\x04');
const DESCRIPTOR = Buffer.from('PK\x07\x08');

/** Undefined where the directory begins, or the stream ends. */
async function nextEntry(pieces: Pieces, zip: string): Promise<ZipEntry | undefined> {
  const signature = await pieces.peek(ENTRY.length);
  if (!signature.equals(ENTRY)) {
    if (signature.length === 0 || signature.toString('latin1', 0, 2) === 'PK') return undefined;
    throw damaged(zip, 'a file in it does not end where it should');
  }
  const entry = parseLocalHeader(await pieces.peek(LONGEST_HEADER));
  if (entry === undefined) throw damaged(zip, 'it ends within a header');
  await pieces.take(entry.header);
  return entry;
}

async function* content(pieces: Pieces, entry: ZipEntry, zip: string): AsyncGenerator<Buffer> {
  const { name, method, described, packed } = entry;
  checkReadable(entry, zip);
  if (described && method === STORED) {
    throw new PiimgError(`${zip} does not tell, before its end, where ${name} in it ends`, {
      exitCode: EXIT.usage,
      hint: 'Save it, then flash the file.',
    });
  }
  let [crc, size] = [0, 0];
  try {
    const length = described ? Infinity : packed;
    for await (const piece of method === STORED ? pieces.upTo(length) : inflated(pieces, length)) {
      crc = crc32(piece, crc);
      size += piece.length;
      yield piece;
    }
  } catch (error) {
    const fromZlib = (error as NodeJS.ErrnoException).code?.startsWith('Z_');
    throw fromZlib ? damaged(zip, `${name} in it: ${(error as Error).message}`, error) : error;
  }
  if (method === STORED && size < packed) throw damaged(zip, `it ends within ${name}`);
  if (crc !== (described ? await describedCrc(pieces) : entry.crc)) throw damaged(zip, `${name} in it has a wrong CRC`);
}

/** APPNOTE.TXT, 4.3.9: a signature, which may be left out, the CRC, and two sizes of four bytes each; of eight in a zip64. */
async function describedCrc(pieces: Pieces): Promise<number | undefined> {
  const bytes = await pieces.peek(28);
  const start = bytes.subarray(0, 4).equals(DESCRIPTOR) ? 4 : 0;
  // Which it is, one sees by what follows: another signature.
  const length = [start + 12, start + 20].find((end) => bytes.toString('latin1', end, end + 2) === 'PK');
  if (length === undefined) return undefined;
  await pieces.take(length);
  return bytes.readUInt32LE(start);
}
