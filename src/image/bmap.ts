// The block map: which blocks of an image must be written to a card, with a checksum each, in bmap-tools' format 2.0.
import { sha256 } from '../lib/digest.ts';
import type { ByteRange } from './ranges.ts';

/** What bmap files use, and the block size of our ext4. */
export const BMAP_BLOCK = 4096;

/** `web.img` → `web.bmap`, where bmaptool looks for it, also for `web.img.xz`. */
export function bmapFileOf(image: string): string {
  return `${image.replace(/\.img$/, '')}.bmap`;
}

/** Where the block map of an image that is packed or not may lie, as bmaptool looks for it: the first that is there counts. */
export function bmapFilesOf(image: string): string[] {
  const unpacked = image.replace(/\.(xz|gz|zst|zip)$/, '');
  const files = [`${image}.bmap`, `${unpacked}.bmap`, `${unpacked.replace(/\.(img|raw|wic)$/, '')}.bmap`];
  return [...new Set(files)];
}

/** With its checksum, in hex, unless what lies there may be changed in the image that is built. */
export interface MappedRange extends ByteRange {
  sha256?: string;
}

/**
 * The bmap file. What it does not map, a writer may leave as it is on the card: so `ranges` must hold every block that
 * a file system uses, also those full of zeros.
 */
export function bmapXml(size: number, ranges: MappedRange[]): string {
  const mapped = ranges.reduce((sum, { length }) => sum + length / BMAP_BLOCK, 0);
  const lines = ranges.map(({ offset, length, sha256: chksum }) => {
    const first = offset / BMAP_BLOCK;
    const last = first + length / BMAP_BLOCK - 1;
    const checked = chksum === undefined ? '' : ` chksum="${chksum}"`;
    return `        <Range${checked}> ${first === last ? first : `${first}-${last}`} </Range>`;
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
