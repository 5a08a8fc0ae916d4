// What a zip that is a file says at its end of all that is in it.
import { damaged } from './damaged.ts';
import { readRange } from './file.ts';
import {
  chooseMember,
  LONGEST_HEADER,
  type Member,
  parseDirectoryHeader,
  parseLocalHeader,
  type ZipEntry,
} from './zip.ts';

const END = 0x06054b50;
const END_LENGTH = 22;
const LOCATOR = 0x07064b50;
const LOCATOR_LENGTH = 20;
const WIDE_END = 0x06064b50;
const WIDE_END_LENGTH = 56;

/** A comment may follow the end, of 65,535 bytes at most. */
const TAIL = 65_535 + END_LENGTH + LOCATOR_LENGTH;
/** Bytes of a directory that nobody's image comes with. */
const MOST = 16 << 20;

/**
 * The image in a zip of `size` bytes. Throws PiimgError: usage when there is not exactly one that piimg reads (`chooseMember`); failed for
 * a damaged or truncated file.
 */
export async function findMember(file: string, size: number): Promise<Member> {
  const entry = chooseMember(await readDirectory(file, size), file);
  const local = parseLocalHeader(await readRange(file, entry.at, LONGEST_HEADER));
  if (local === undefined) throw damaged(file, `${entry.name} is not where its directory says`);
  return { ...entry, described: false, start: entry.at + local.header };
}

async function readDirectory(file: string, size: number): Promise<ZipEntry[]> {
  const { offset, length } = await findDirectory(file, size);
  if (length > MOST || offset < 0) throw damaged(file, 'the end of the zip is not what it should be');
  const bytes = await readRange(file, offset, length);
  const entries: ZipEntry[] = [];
  for (let at = 0; at < bytes.length;) {
    const entry = parseDirectoryHeader(bytes.subarray(at));
    if (entry === undefined) throw damaged(file, 'the directory of the zip is not what it should be');
    entries.push(entry);
    at += entry.header;
  }
  return entries;
}

async function findDirectory(file: string, size: number): Promise<{ offset: number; length: number }> {
  const from = Math.max(0, size - TAIL);
  const tail = await readRange(file, from, TAIL);
  const signature = Buffer.alloc(4);
  signature.writeUInt32LE(END);
  const at = tail.subarray(0, Math.max(0, tail.length - END_LENGTH + 4)).lastIndexOf(signature);
  if (at < 0) throw damaged(file, 'the end of the zip is missing');
  // It lies just before its end: where it says that it is, `zip -fz -` has nonsense.
  const before = (end: number, length: number) => ({ offset: end - length, length });
  const locator = at - LOCATOR_LENGTH;
  if (locator < 0 || tail.readUInt32LE(locator) !== LOCATOR) return before(from + at, tail.readUInt32LE(at + 12));
  // 4.3.14, zip64: another end before this one, with eight bytes for its length.
  const end = Number(tail.readBigUInt64LE(locator + 8));
  const wide = end < size ? await readRange(file, end, WIDE_END_LENGTH) : Buffer.alloc(0);
  if (wide.length < WIDE_END_LENGTH || wide.readUInt32LE(0) !== WIDE_END) {
    throw damaged(file, 'the end of the zip is not what it should be');
  }
  return before(end, Number(wide.readBigUInt64LE(40)));
}
