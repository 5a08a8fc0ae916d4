// Tar headers as bytes. tar-stream reads and writes archives of names and contents; layers also need binary extended
// attributes (a capability is not UTF-8) and the place of each entry in the file, which it does not give.

export const BLOCK = 512;

/** What a header says about one entry. */
export interface TarHeader {
  /** Path without `./` and without a trailing slash; the root is `''`. */
  path: string;
  type: 'file' | 'directory' | 'symlink' | 'hardlink' | 'character' | 'block' | 'fifo' | 'other';
  mode: number;
  uid: number;
  gid: number;
  size: number;
  /** Seconds since 1970. */
  mtime: number;
  /** How much later than that second it was; absent for nothing. */
  nanoseconds?: number;
  target?: string;
  /** Device numbers, of devices. */
  device?: [number, number];
  /** Extended attributes, values base64. */
  xattrs?: Record<string, string>;
}

/** Whether it is a device, a pipe, or of a kind that is not known: neither content, folder nor link. */
export function isDevice(type: TarHeader['type']): type is 'character' | 'block' | 'fifo' | 'other' {
  return !['file', 'directory', 'symlink', 'hardlink'].includes(type);
}

/** Seconds and nanoseconds of a time that is no whole second since 1970. */
export function fineTime({ mtime, nanoseconds = 0 }: TarHeader): [number, number] | undefined {
  return nanoseconds > 0 || mtime < 0 ? [mtime, nanoseconds] : undefined;
}

/** POSIX.1-2017, pax: typeflag values. */
const TYPE_FLAGS = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
} as const;
const XATTR = 'SCHILY.xattr.';

/** The blocks before an entry's data: a pax header where ustar has no room, then the ustar header. */
export function encodeHeader(header: TarHeader): Buffer {
  if (header.type === 'other') throw new TypeError(`no tar entry for ${header.path}`);
  const name = header.path === '' ? './' : header.type === 'directory' ? `${header.path}/` : header.path;
  const records: Buffer[] = [];
  const field = (key: string, text: string, room: number): string => {
    // Names beyond ASCII go to pax as well: ustar does not say their encoding.
    if (Buffer.byteLength(text) <= room && /^[\x20-\x7e]*$/.test(text)) return text;
    records.push(paxRecord(key, Buffer.from(text)));
    return Buffer.from(text.replace(/[^\x20-\x7e]/g, '_'))
      .subarray(0, room)
      .toString();
  };
  const number = (key: string, value: number, digits: number, text = String(value)): number => {
    const fits = value >= 0 && value < 8 ** digits;
    if (!fits || text !== String(value)) records.push(paxRecord(key, Buffer.from(text)));
    return fits ? value : 0;
  };
  const block = Buffer.alloc(BLOCK);
  block.write(field('path', name, 100), 0);
  octal(block, 100, 8, header.mode);
  octal(block, 108, 8, number('uid', header.uid, 7));
  octal(block, 116, 8, number('gid', header.gid, 7));
  octal(block, 124, 12, header.type === 'file' ? number('size', header.size, 11) : 0);
  const mtime = number('mtime', header.mtime, 11, decimalOf(header));
  octal(block, 136, 12, mtime);
  block.write(TYPE_FLAGS[header.type], 156);
  if (header.target !== undefined) block.write(field('linkpath', header.target, 100), 157);
  block.write('ustar\x0000', 257, 'latin1');
  if (header.device) {
    octal(block, 329, 8, header.device[0]);
    octal(block, 337, 8, header.device[1]);
  }
  for (const key of Object.keys(header.xattrs ?? {}).sort()) {
    records.push(paxRecord(XATTR + key, Buffer.from(header.xattrs?.[key] ?? '', 'base64')));
  }
  seal(block);
  return records.length === 0 ? block : Buffer.concat([paxHeader(records, mtime), block]);
}

/** How many bytes pad `size` to whole blocks. */
export function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

/** The two zero blocks that end an archive. */
export function endOfArchive(): Buffer {
  return Buffer.alloc(2 * BLOCK);
}

/** Attributes of a pax header's data: `<length> <key>=<value>\n`, values as bytes. */
export function parsePax(data: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < data.length && data[at] !== 0;) {
    const space = data.indexOf(0x20, at);
    const equals = data.indexOf(0x3d, space);
    const digits = data.toString('latin1', at, Math.max(at, space));
    const length = Number(digits);
    const end = at + length;
    if (!/^\d+$/.test(digits) || end > data.length || equals < space || equals >= end || data[end - 1] !== 0x0a) {
      throw new Error('malformed pax header');
    }
    records.set(data.toString('utf8', space + 1, equals), data.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

/**
 * Reads a ustar block, with the attributes of the pax header before it. Throws Error: a wrong checksum, GNU tar's own format
 * (long names would be cut), a name that is not UTF-8 (it would come out as another).
 */
export function parseHeader(block: Buffer, pax: Map<string, Buffer> = new Map()): TarHeader {
  verify(block);
  const prefix = field(block, 345, 155);
  const name = field(block, 0, 100);
  const path = utf8(pax.get('path') ?? (prefix.length === 0 ? name : Buffer.concat([prefix, SLASH, name])));
  const flag = String.fromCharCode(block[156] ?? 0);
  const number = (key: string, offset: number, length: number): number =>
    pax.has(key) ? Math.floor(Number(pax.get(key)?.toString())) : readOctal(block, offset, length);
  const type = flag === '\0' ? 'file' : (flagType(flag) ?? 'other');
  const time = pax.get('mtime')?.toString();
  const header: TarHeader = {
    path: path.replace(/^\.\//, '').replace(/\/+$/, '').replace(/^\.$/, ''),
    type,
    mode: readOctal(block, 100, 8) & 0o7777,
    uid: number('uid', 108, 8),
    gid: number('gid', 116, 8),
    size: type === 'file' || type === 'other' ? number('size', 124, 12) : 0,
    ...(time === undefined ? { mtime: readOctal(block, 136, 12) } : timeOf(time)),
  };
  const target = utf8(pax.get('linkpath') ?? field(block, 157, 100));
  if (type === 'symlink') header.target = target;
  if (type === 'hardlink') header.target = target.replace(/^\.\//, '');
  if (type === 'character' || type === 'block') header.device = [readOctal(block, 329, 8), readOctal(block, 337, 8)];
  const xattrs = [...pax].filter(([key]) => key.startsWith(XATTR));
  if (xattrs.length > 0) {
    header.xattrs = Object.fromEntries(
      xattrs.map(([key, value]) => [key.slice(XATTR.length), value.toString('base64')]),
    );
  }
  return header;
}

/** Whether a block is a pax header for the next entry (`x`); its size in bytes, else undefined. Throws as `parseHeader` does. */
export function paxSize(block: Buffer): number | undefined {
  if (block[156] !== 0x78) return undefined;
  verify(block);
  return readOctal(block, 124, 12);
}

function verify(block: Buffer): void {
  if (checksum(block) !== readOctal(block, 148, 8)) throw new Error('wrong header checksum');
  if (block.toString('latin1', 257, 263) !== 'ustar\0') throw new Error('not a POSIX tar archive');
}

function flagType(flag: string): TarHeader['type'] | undefined {
  return (Object.keys(TYPE_FLAGS) as (keyof typeof TYPE_FLAGS)[]).find((type) => TYPE_FLAGS[type] === flag);
}

function paxHeader(records: Buffer[], mtime: number): Buffer {
  const data = Buffer.concat(records);
  const block = Buffer.alloc(BLOCK);
  block.write('pax');
  for (const [offset, length, value] of [
    [100, 8, 0o644],
    [108, 8, 0],
    [116, 8, 0],
    [124, 12, data.length],
    [136, 12, mtime],
  ] as const) {
    octal(block, offset, length, value);
  }
  block.write('x', 156);
  block.write('ustar\x0000', 257, 'latin1');
  seal(block);
  return Buffer.concat([block, data, Buffer.alloc(padding(data.length))]);
}

const BILLION = 10 ** 9;

/** A time as pax has it, a decimal number of seconds. */
function decimalOf({ mtime, nanoseconds = 0 }: Pick<TarHeader, 'mtime' | 'nanoseconds'>): string {
  if (nanoseconds === 0) return String(mtime);
  // Before 1970 the fraction counts the other way.
  const [sign, seconds, rest] = mtime < 0 ? ['-', -mtime - 1, BILLION - nanoseconds] : ['', mtime, nanoseconds];
  return `${sign}${seconds}.${String(rest).padStart(9, '0')}`;
}

function timeOf(decimal: string): Pick<TarHeader, 'mtime' | 'nanoseconds'> {
  const [, sign, whole, digits = ''] = /^(-?)(\d+)(?:\.(\d*))?$/.exec(decimal) ?? [];
  if (whole === undefined) throw new Error(`${decimal} is no time`);
  const rest = Number(digits.slice(0, 9).padEnd(9, '0'));
  if (rest === 0) return { mtime: Number(sign + whole) };
  if (sign === '') return { mtime: Number(whole), nanoseconds: rest };
  return { mtime: -Number(whole) - 1, nanoseconds: BILLION - rest };
}

/** One record; its length counts its own digits. */
function paxRecord(key: string, value: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = body.length + 1;
  while (String(length).length + body.length !== length) length = String(length).length + body.length;
  return Buffer.concat([Buffer.from(String(length)), body]);
}

function octal(block: Buffer, offset: number, length: number, value: number): void {
  block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, offset, 'latin1');
}

/** Octal digits, or GNU's base-256 for numbers that do not fit (first bit set). */
function readOctal(block: Buffer, offset: number, length: number): number {
  if ((block[offset] ?? 0) & 0x80) return Number(BigInt(`0x${block.toString('hex', offset + 1, offset + length)}`));
  return parseInt(field(block, offset, length).toString('latin1').trim() || '0', 8);
}

/** The bytes of a field, up to its first NUL. */
function field(block: Buffer, offset: number, length: number): Buffer {
  const end = block.indexOf(0, offset);
  return block.subarray(offset, end < 0 || end > offset + length ? offset + length : end);
}

const SLASH = Buffer.from('/');
const strictly = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function utf8(bytes: Buffer): string {
  try {
    return strictly.decode(bytes);
  } catch {
    throw new Error(`the name ${bytes.toString('latin1')} is not UTF-8`);
  }
}

/** The sum of all bytes, those of the checksum itself read as spaces. */
function checksum(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += block[i] ?? 0;
  return sum;
}

function seal(block: Buffer): void {
  block.write(`${checksum(block).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}
