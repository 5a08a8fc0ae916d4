// Reads extended attributes as an ext4 stores them, in an inode or in a block of their own.

/** Documentation/filesystems/ext4/attributes. */
const MAGIC = 0xea020000;
const PREFIXES = [
  '',
  'user.',
  'system.posix_acl_access',
  'system.posix_acl_default',
  'trusted.',
  '',
  'security.',
  'system.',
];
/** Of an entry before its name. */
const HEAD = 16;

/** Attributes whose entries begin at byte `first`, with values (base64) counted from byte `base`; none where the magic number is not. */
export function parseXattrs(bytes: Buffer, first: number, base: number): Record<string, string> {
  const found: Record<string, string> = {};
  if (bytes.length < first || bytes.readUInt32LE(0) !== MAGIC) return found;
  // Four zero bytes end the list.
  for (let at = first; at + HEAD <= bytes.length && bytes.readUInt32LE(at) !== 0;) {
    const length = bytes.readUInt8(at);
    const name = (PREFIXES[bytes.readUInt8(at + 1)] ?? '') + bytes.toString('utf8', at + HEAD, at + HEAD + length);
    const value = base + bytes.readUInt16LE(at + 2);
    found[name] = bytes.toString('base64', value, value + bytes.readUInt32LE(at + 8));
    at += HEAD + Math.ceil(length / 4) * 4;
  }
  return found;
}
