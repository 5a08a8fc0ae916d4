// Pure: how a file is packed, by its first bytes.
import { EXIT, PiimgError } from '../../lib/errors.ts';

export type Packing = 'none' | 'gz' | 'xz' | 'zst' | 'zip';

/** Bytes in hex as the formats' specifications have them; a dot is any digit. */
const KNOWN: [Packing, string][] = [
  ['gz', '1f8b'],
  ['xz', 'fd377a585a00'],
  ['zst', '28b52ffd'],
  // A skippable frame, with which pzstd begins.
  ['zst', '5.2a4d18'],
  ['zip', '504b0304'],
  ['zip', '504b0506'],
];

const FOREIGN: { what: string; magic: string; remedy: string }[] = [
  { what: 'a 7z archive', magic: '377abcaf271c', remedy: 'Unpack it (7z x), then flash the image in it.' },
  { what: 'a rar archive', magic: '526172211a07', remedy: 'Unpack it (unrar x), then flash the image in it.' },
  { what: 'packed by bzip2', magic: '425a683.314159265359', remedy: 'Pipe it: bzip2 -dc FILE | piimg flash - CARD' },
  { what: 'packed by lz4', magic: '04224d18', remedy: 'Pipe it: lz4 -dc FILE | piimg flash - CARD' },
  { what: 'packed by lzip', magic: '4c5a495001', remedy: 'Pipe it: lzip -dc FILE | piimg flash - CARD' },
  {
    what: 'a part of a split zip',
    magic: '504b0708',
    remedy: 'Put it together (zip -s 0), then flash the image in it.',
  },
  { what: "a disk of QEMU's", magic: '514649fb', remedy: 'Convert it: qemu-img convert -O raw FILE FILE.img' },
];

/** How what begins so is packed. Throws PiimgError (usage) for nothing at all and for kinds of files that piimg does not unpack. */
export function packingOf(beginning: Buffer, name: string): Packing {
  if (beginning.length === 0) {
    throw new PiimgError(`${name} is empty`, { exitCode: EXIT.usage, hint: 'Download, copy or build it again.' });
  }
  const begins = (magic: string): boolean => new RegExp(`^${magic}`).test(beginning.toString('hex', 0, 16));
  const foreign = FOREIGN.find(({ magic }) => begins(magic));
  if (foreign !== undefined) {
    throw new PiimgError(`${name} is ${foreign.what}, which piimg does not read`, {
      exitCode: EXIT.usage,
      hint: foreign.remedy,
    });
  }
  return KNOWN.find(([, magic]) => begins(magic))?.[0] ?? 'none';
}
