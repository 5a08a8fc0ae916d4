// Pure: bmap files, which tell what of an image must be written to a card (bmap-tools, formats 1.2 to 2.0).
import { createHash } from 'node:crypto';
import { EXIT, PiimgError } from '../lib/errors.ts';

export interface Bmap {
  /** Bytes. */
  imageSize: number;
  blockSize: number;
  /** Bytes of the image, sorted, none over another; with their checksum where the file tells. */
  ranges: { offset: number; length: number; sum?: { type: string; hex: string } }[];
}

/**
 * Reads a bmap file, `name` in errors. Throws PiimgError (usage) for what is none, does not have its own checksum, or contradicts itself:
 * ranges that are not in order or not within the image, other counts of blocks than it says.
 */
export function parseBmap(text: string, name: string): Bmap {
  const fail = (what: string): PiimgError =>
    new PiimgError(`${name}: ${what}`, {
      exitCode: EXIT.usage,
      hint: 'Build or copy it again together with its image, or move it away: then all of the image is written.',
    });
  const xml = text.replaceAll(/<!--.*?-->/gs, '');
  const version = /<bmap\s+version\s*=\s*"(\d+)\.(\d+)"\s*>/.exec(xml);
  if (version === null) throw fail('this is no bmap file');
  if (Number(version[1]) > 2) throw fail(`format ${version[1]}.${version[2]} of bmap files is not known here`);
  const checksumType = field(xml, 'ChecksumType') ?? 'sha1';
  const checksum = field(xml, 'BmapFileChecksum') ?? field(xml, 'BmapFileSHA1');
  if (checksum !== undefined && checksum !== ownChecksum(text, checksum, checksumType)) {
    throw fail('it is damaged, or was edited: its own checksum is another one');
  }
  // Only 1.2 has none.
  if (checksum === undefined && !(version[1] === '1' && Number(version[2]) <= 2)) throw fail('it lacks its checksum');
  const count = (tag: string): number => {
    const digits = field(xml, tag);
    const value = digits === undefined || !/^\d+$/.test(digits) ? NaN : Number(digits);
    if (!Number.isSafeInteger(value)) throw fail(`<${tag}> is missing or no number`);
    return value;
  };
  const [imageSize, blockSize, blocks] = [count('ImageSize'), count('BlockSize'), count('BlocksCount')];
  if (blockSize === 0 || blocks !== Math.ceil(imageSize / blockSize)) {
    throw fail(`${blocks} blocks of ${blockSize} bytes are no image of ${imageSize}`);
  }
  const ranges: Bmap['ranges'] = [];
  let [next, mapped] = [0, 0];
  for (const { first, last, hex } of rangesOf(xml)) {
    if (!(first >= next && last >= first && last < blocks)) throw fail(`its range ${first}-${last} is out of place`);
    const offset = first * blockSize;
    const length = Math.min(imageSize, (last + 1) * blockSize) - offset;
    ranges.push({ offset, length, ...(hex !== undefined && { sum: { type: checksumType, hex } }) });
    mapped += last - first + 1;
    next = last + 1;
  }
  if (mapped !== count('MappedBlocksCount')) throw fail(`its ranges have ${mapped} blocks, not as many as it says`);
  return { imageSize, blockSize, ranges };
}

const field = (xml: string, tag: string): string | undefined =>
  new RegExp(`<${tag}>\\s*([^<]*?)\\s*</${tag}>`).exec(xml)?.[1];

/** Of the file with zeros in place of it; undefined for a type nobody has. */
function ownChecksum(text: string, checksum: string, type: string): string | undefined {
  try {
    return createHash(type)
      .update(text.replace(checksum, '0'.repeat(checksum.length)))
      .digest('hex');
  } catch {
    return undefined;
  }
}

function rangesOf(xml: string): { first: number; last: number; hex?: string }[] {
  return [...xml.matchAll(/<Range\b([^>]*)>\s*([^<]*?)\s*<\/Range>/g)].map(([, attributes = '', blocks = '']) => {
    // Format 1.3 has the attribute sha1, 1.4 and later ones chksum, of whatever type.
    const hex = /\b(?:chksum|sha1)\s*=\s*"([0-9a-f]+)"/.exec(attributes)?.[1];
    const [, first, last = first] = /^(\d+)(?:\s*-\s*(\d+))?$/.exec(blocks) ?? [];
    return { first: Number(first), last: Number(last), ...(hex !== undefined && { hex }) };
  });
}
