// Reads a tar stream entry by entry.
import { BLOCK, padding, parseHeader, parsePax, paxSize, type TarHeader } from '../lib/tar.ts';
import { byteReader, type ByteReader } from './bytes.ts';

/** Hands on the data of the entry at hand, in the chunks it comes in. */
export type PassData = (to: (chunk: Buffer) => void | Promise<void>) => Promise<void>;

/** Calls `entry` for each entry in order; data it does not ask for is passed over. Throws Error when the archive is cut or damaged. */
export async function readTar(
  stream: AsyncIterable<Buffer>,
  entry: (header: TarHeader, data: PassData) => Promise<void>,
): Promise<void> {
  const input = byteReader(stream);
  try {
    for (let header = await nextHeader(input); header; header = await nextHeader(input)) {
      const { size } = header;
      let left = size;
      await entry(header, async (to) => {
        left = 0;
        await input.pass(size, to);
      });
      await input.pass(left, () => {});
      if (size > 0) await input.read(padding(size));
    }
    // tar fills its last record with zeros: read them, or it meets a closed pipe.
    while ((await input.read(1 << 16)).length > 0) continue;
  } finally {
    await input.close();
  }
}

/** A program under way that prints an archive. */
export type Archiver = Promise<unknown> & { stdout: AsyncIterable<Buffer> };

/**
 * The same of the archive that a program prints; resolves when the program has ended well. When both fail, the cause is thrown: a
 * reader that gives up closes the pipe, of which the program then complains; a program that fails cuts the archive short.
 */
export async function readTarFrom(
  program: Archiver,
  entry: (header: TarHeader, data: PassData) => Promise<void>,
): Promise<void> {
  let printedAll = false;
  async function* printed(): AsyncGenerator<Buffer> {
    try {
      yield* program.stdout;
    } catch (error) {
      printedAll = true;
      throw error;
    }
    printedAll = true;
  }
  const [read, ended] = await Promise.allSettled([readTar(printed(), entry), program]);
  if (ended.status === 'rejected' && (printedAll || read.status === 'fulfilled')) throw ended.reason;
  if (read.status === 'rejected') throw read.reason;
}

async function nextHeader(input: ByteReader): Promise<TarHeader | undefined> {
  const block = await input.read(BLOCK);
  if (block.length < BLOCK) throw new Error('the archive ends too early');
  if (block.every((byte) => byte === 0)) return undefined;
  const size = paxSize(block);
  if (size === undefined) return parseHeader(block);
  const pax = Buffer.from(await input.read(size + padding(size))).subarray(0, size);
  return parseHeader(await input.read(BLOCK), parsePax(pax));
}
