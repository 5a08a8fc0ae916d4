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

/** The kernel's fs/ext4/acl.h and linux/posix_acl_xattr.h: on disk, tags of named users and groups alone are followed by an id. */
const ACL = /^system\.posix_acl_/;
const ACL_DISK_VERSION = 1;
const ACL_VERSION = 2;
const NAMED = [0x02, 0x08];
const NO_ID = 0xffffffff;

/** Attributes whose entries begin at byte `first`, with values (base64) counted from byte `base`; none where the magic number is not. */
export function parseXattrs(bytes: Buffer, first: number, base: number): Record<string, string> {
  const found: Record<string, string> = {};
  if (bytes.length < first || bytes.readUInt32LE(0) !== MAGIC) return found;
  // Four zero bytes end the list.
  for (let at = first; at + HEAD <= bytes.length && bytes.readUInt32LE(at) !== 0;) {
    const length = bytes.readUInt8(at);
    const name = (PREFIXES[bytes.readUInt8(at + 1)] ?? '') + bytes.toString('utf8', at + HEAD, at + HEAD + length);
    const from = base + bytes.readUInt16LE(at + 2);
    const value = bytes.subarray(from, from + bytes.readUInt32LE(at + 8));
    found[name] = (ACL.test(name) ? aclOf(value) : value).toString('base64');
    at += HEAD + Math.ceil(length / 4) * 4;
  }
  return found;
}

/** An access control list as the kernel's calls and archives have it. */
function aclOf(disk: Buffer): Buffer {
  if (disk.length < 4 || disk.readUInt32LE(0) !== ACL_DISK_VERSION) return disk;
  const words = [ACL_VERSION];
  for (let at = 4; at + 4 <= disk.length; at += 4) {
    const tag = disk.readUInt16LE(at);
    words.push(disk.readUInt32LE(at));
    if (!NAMED.includes(tag)) words.push(NO_ID);
    else words.push(disk.readUInt32LE((at += 4)));
  }
  return Buffer.from(Uint32Array.from(words).buffer);
}
