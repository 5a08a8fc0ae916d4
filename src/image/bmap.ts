// The block map: which blocks of an image must be written to a card, with a checksum each, in bmap-tools' format 2.0.
import type { FileHandle } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { sha256 } from '../lib/digest.ts';
import type { Step } from '../lib/progress.ts';
import type { ByteRange } from './ranges.ts';

/** What bmap files use, and the block size of our ext4. */
export const BMAP_BLOCK = 4096;
/** Large enough that reads cost little beside hashing. */
const CHUNK = 4 << 20;

export interface CheckedRange extends ByteRange {
  sha256: string;
}

/**
 * The sha256 of the whole image and of each range, in one pass over the file.
 * `ranges` are sorted and do not overlap (wholeBlocks makes them so).
 */
export async function digestImage(
  file: FileHandle,
  size: number,
  ranges: ByteRange[],
  step?: Pick<Step, 'update'>,
): Promise<{ sha256: string; ranges: CheckedRange[] }> {
  const whole = createHash('sha256');
  const parts = ranges.map((range) => ({ ...range, hash: createHash('sha256') }));
  const buffer = Buffer.allocUnsafeSlow(CHUNK);
  let current = 0;
  for (let at = 0; at < size;) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(CHUNK, size - at), at);
    if (bytesRead === 0) throw new RangeError(`The image ends at byte ${at} of ${size}.`);
    const end = at + bytesRead;
    whole.update(buffer.subarray(0, bytesRead));
    for (const { offset, length, hash } of parts.slice(current)) {
      if (offset >= end) break;
      const to = Math.min(offset + length, end);
      hash.update(buffer.subarray(Math.max(offset, at) - at, to - at));
      // It goes on in the next chunk.
      if (offset + length > end) break;
      current++;
    }
    at = end;
    step?.update({ done: at, total: size, unit: 'bytes' });
  }
  return {
    sha256: whole.digest('hex'),
    ranges: parts.map(({ offset, length, hash }) => ({ offset, length, sha256: hash.digest('hex') })),
  };
}

/**
 * The bmap file. What it does not map, a writer may leave as it is on the card: so `ranges` must hold every block that
 * a file system uses, also those full of zeros.
 */
export function bmapXml(size: number, ranges: CheckedRange[]): string {
  const mapped = ranges.reduce((sum, { length }) => sum + length / BMAP_BLOCK, 0);
  const lines = ranges.map(({ offset, length, sha256: chksum }) => {
    const first = offset / BMAP_BLOCK;
    const last = first + length / BMAP_BLOCK - 1;
    return `        <Range chksum="${chksum}"> ${first === last ? first : `${first}-${last}`} </Range>`;
  });
  const withChecksum = (checksum: string) => `<?xml version="1.0" ?>
<bmap version="2.0">
    <ImageSize> ${size} </ImageSize>
    <BlockSize> ${BMAP_BLOCK} </BlockSize>
    <BlocksCount> ${Math.ceil(size / BMAP_BLOCK)} </BlocksCount>
    <MappedBlocksCount> ${mapped} </MappedBlocksCount>
    <ChecksumType> sha256 </ChecksumType>
    <!-- sha256 of this file with zeros in place of this checksum -->
    <BmapFileChecksum> ${checksum} </BmapFileChecksum>
    <BlockMap>
${lines.join('\n')}
    </BlockMap>
</bmap>
`;
  return withChecksum(sha256(withChecksum('0'.repeat(64))));
}
