// Pure: the headers of a zip (APPNOTE.TXT 6.3.10), and which file in it is the image.
import { EXIT, PiimgError } from '../../lib/errors.ts';

/** A file in a zip. */
export interface ZipEntry {
  name: string;
  encrypted: boolean;
  /** Whether CRC and sizes come after the content only. */
  described: boolean;
  method: number;
  crc: number;
  /** Bytes, packed and unpacked. */
  packed: number;
  size: number;
  /** Whether it may be an image: no folder, nothing that describes or accompanies one. */
  image: boolean;
  /** Bytes of its header. */
  header: number;
  /** Where in the file its local header is; only the directory tells. */
  at: number;
}

/** The image in a zip that is a file. */
export interface Member extends ZipEntry {
  /** Where its content begins in the file. */
  start: number;
}

export const STORED = 0;
const DEFLATED = 8;

/** Bytes of a local header: its name and its extra field have at most 65,535 each. */
export const LONGEST_HEADER = 30 + 2 * 65_535;

const LOCAL = { signature: 0x04034b50, length: 30, flags: 6 };
const CENTRAL = { signature: 0x02014b50, length: 46, flags: 8 };

/** The header before a file's content; undefined when `bytes` begin with something else or end before it does. */
export const parseLocalHeader = (bytes: Buffer): ZipEntry | undefined => parseHeader(bytes, LOCAL);

/** A row of the directory at the end, as `parseLocalHeader`. */
export const parseDirectoryHeader = (bytes: Buffer): ZipEntry | undefined => parseHeader(bytes, CENTRAL);

function parseHeader(bytes: Buffer, { signature, length, flags }: typeof LOCAL): ZipEntry | undefined {
  if (bytes.length < length || bytes.readUInt32LE(0) !== signature) return undefined;
  const central = signature === CENTRAL.signature;
  // From the flags on, both kinds have the same fields.
  const [nameLength, extraLength] = [bytes.readUInt16LE(flags + 20), bytes.readUInt16LE(flags + 22)];
  const header = length + nameLength + extraLength + (central ? bytes.readUInt16LE(32) : 0);
  if (bytes.length < header) return undefined;
  const name = bytes.toString('utf8', length, length + nameLength);
  const bits = bytes.readUInt16LE(flags);
  const [size = 0, packed = 0, at = 0] = wide(bytes.subarray(length + nameLength, length + nameLength + extraLength), [
    bytes.readUInt32LE(flags + 16),
    bytes.readUInt32LE(flags + 12),
    central ? bytes.readUInt32LE(42) : 0,
  ]);
  return {
    name,
    encrypted: (bits & 1) !== 0,
    described: (bits & 8) !== 0,
    method: bytes.readUInt16LE(flags + 2),
    crc: bytes.readUInt32LE(flags + 8),
    packed,
    size,
    image: isImage(name),
    header,
    at,
  };
}

/** 4.5.3, zip64: what does not fit into four bytes is in an extra field, in this order. */
function wide(extra: Buffer, narrow: number[]): number[] {
  let field: Buffer | undefined;
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) === 1) field = extra.subarray(at + 4, at + 4 + extra.readUInt16LE(at + 2));
  }
  let at = 0;
  return narrow.map((value) => {
    if (value !== 0xffffffff || field === undefined || at + 8 > field.length) return value;
    at += 8;
    return Number(field.readBigUInt64LE(at - 8));
  });
}

const BESIDE =
  /\.(asc|bmap|csv|docx?|gpg|html?|info|ini|json|log|manifest|md|md5(sum)?|nfo|odt|pdf|png|jpe?g|rtf|sbom|sha\d+(sums?)?|sig|sum|te?xt|url|xml|ya?ml)$/i;

function isImage(name: string): boolean {
  const [last = '', ...folders] = name.split(/[/\\]/).toReversed();
  return last !== '' && !last.startsWith('.') && !folders.includes('__MACOSX') && !BESIDE.test(last);
}

/** The one file that may be the image. Throws PiimgError (usage) when there is none, or more than one, or it is packed in a way of its own. */
export function chooseMember(entries: ZipEntry[], zip: string): ZipEntry {
  const images = entries.filter(({ image }) => image);
  const [first, second] = images;
  if (first === undefined) throw usage(`${zip} holds no image`, `It has ${names(entries) || 'nothing'}.`);
  if (second !== undefined) throw severalImages(zip, names(images));
  checkReadable(first, zip);
  return first;
}

/** Throws PiimgError (usage) for an entry that is encrypted, or packed otherwise than nearly all are. */
export function checkReadable({ name, encrypted, method }: ZipEntry, zip: string): void {
  if (!encrypted && (method === STORED || method === DEFLATED)) return;
  const how = encrypted ? 'is encrypted' : method === 9 ? 'is packed by Deflate64' : `is packed by method ${method}`;
  throw usage(`${name} in ${zip} ${how}, which piimg does not read`, 'Unpack it (unzip, 7z x), then flash the image.');
}

/** The error for a zip of which one cannot tell what is wanted. */
export const severalImages = (zip: string, list: string): PiimgError =>
  usage(`${zip} holds more than one file that may be the image: ${list}`, 'Unpack it, then flash the one you want.');

const names = (entries: ZipEntry[]): string => {
  const shown = entries.slice(0, 5).map(({ name }) => name);
  return [...shown, ...(entries.length > shown.length ? ['…'] : [])].join(', ');
};

const usage = (message: string, hint: string): PiimgError => new PiimgError(message, { exitCode: EXIT.usage, hint });
