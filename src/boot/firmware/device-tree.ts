// The card's device tree: what the firmware looks up in it, aliases and kernel arguments, and what it fills in.

export interface DeviceTree {
  /** Path of a node by alias: `serial1` → `/soc/serial@7e215040`. */
  aliases: Record<string, string>;
  /** /chosen/bootargs; empty when there is none. */
  bootargs: string;
}

/** What a tree is told of the machine. */
export interface Hardware {
  /** Address of the Ethernet card, like `b8:27:eb:00:00:01`. */
  mac?: string | undefined;
  /** Paths of nodes whose device the machine has not; those that the tree has not are passed over. */
  disable?: string[];
  /** Properties to leave out. */
  remove?: { node: string; property: string }[];
}

/** Devicetree Specification 0.4, chapter 5: offsets of the header's fields, and tokens of the structure block. */
const MAGIC = 0xd00dfeed;
const HEADER = {
  total: 4,
  structure: 8,
  strings: 12,
  reservations: 16,
  version: 20,
  stringsSize: 32,
  structureSize: 36,
  size: 40,
};
/** The version whose header has the size of the structure block; of 2005. */
const VERSION = 17;
const TOKEN = { beginNode: 1, endNode: 2, property: 3, nop: 4, end: 9 };

/** Offsets in the tree's bytes. */
interface Scan {
  /** Where the properties of a node begin, by its path; the root's is empty. */
  nodes: Map<string, number>;
  properties: { node: string; name: string; token: number; value: Buffer }[];
  end: number;
}

/** `undefined` when `bytes` are no flattened device tree, or not the whole of one. */
export function readDeviceTree(bytes: Buffer): DeviceTree | undefined {
  const found = scan(bytes);
  if (found === undefined) return undefined;
  const tree: DeviceTree = { aliases: {}, bootargs: '' };
  for (const { node, name, value } of found.properties) {
    if (node === '/aliases') tree.aliases[name] = textOf(value);
    if (node === '/chosen' && name === 'bootargs') tree.bootargs = textOf(value);
  }
  return tree;
}

/**
 * The tree as the firmware hands it on: the node of the alias `ethernet0`, or `ethernet` before Linux 4.12, has the card's address as
 * `local-mac-address` (raspberrypi/firmware#613, #846; raspberrypi/linux#1679). The memory is filled in by QEMU, as are the arguments
 * and the place of the initramfs (arm_load_dtb in its hw/arm/boot.c). What QEMU's machine lacks is taken out, as QEMU itself does with
 * some (raspi4_modify_dtb in hw/arm/raspi4b.c).
 */
export function fillDeviceTree(bytes: Buffer, { mac, disable = [], remove = [] }: Hardware): Buffer {
  const aliases = readDeviceTree(bytes)?.aliases;
  const ethernet = aliases?.['ethernet0'] ?? aliases?.['ethernet'];
  let tree = bytes;
  if (mac !== undefined && ethernet !== undefined) {
    tree = withProperty(tree, ethernet, 'local-mac-address', Buffer.from(mac.replaceAll(':', ''), 'hex'));
  }
  for (const node of disable) tree = withProperty(tree, node, 'status', Buffer.from('disabled\0'));
  for (const { node, property } of remove) tree = withProperty(tree, node, property, undefined);
  return tree;
}

/** A copy with that property of a node added, replaced or, without a value, left out; `bytes` themselves when there is no such node. */
function withProperty(bytes: Buffer, node: string, name: string, value: Buffer | undefined): Buffer {
  const found = scan(bytes);
  const begin = found?.nodes.get(node);
  if (found === undefined || begin === undefined) return bytes;
  const field = (offset: number): number => bytes.readUInt32BE(offset);
  const old = found.properties.find((property) => property.node === node && property.name === name);
  const [from, to] = old === undefined ? [begin, begin] : [old.token, aligned(old.token + 12 + old.value.length)];
  const nameAt = old === undefined ? field(HEADER.stringsSize) : field(old.token + 8);
  const property = value === undefined ? Buffer.alloc(0) : encodeProperty(nameAt, value);

  const reserved = bytes.subarray(field(HEADER.reservations));
  const reservations = reserved.subarray(0, reservationsSize(reserved));
  const structure = Buffer.concat([
    bytes.subarray(field(HEADER.structure), from),
    property,
    bytes.subarray(to, found.end),
  ]);
  const names = bytes.subarray(field(HEADER.strings), field(HEADER.strings) + field(HEADER.stringsSize));
  const strings = old === undefined && value !== undefined ? Buffer.concat([names, Buffer.from(`${name}\0`)]) : names;
  const header = bytes.subarray(0, HEADER.size);
  const result = Buffer.concat([header, reservations, structure, strings]);
  const structureAt = header.length + reservations.length;
  result.writeUInt32BE(result.length, HEADER.total);
  result.writeUInt32BE(header.length, HEADER.reservations);
  result.writeUInt32BE(structureAt, HEADER.structure);
  result.writeUInt32BE(structure.length, HEADER.structureSize);
  result.writeUInt32BE(structureAt + structure.length, HEADER.strings);
  result.writeUInt32BE(strings.length, HEADER.stringsSize);
  return result;
}

function encodeProperty(nameAt: number, value: Buffer): Buffer {
  const bytes = Buffer.alloc(aligned(12 + value.length));
  for (const [i, word] of [TOKEN.property, value.length, nameAt].entries()) bytes.writeUInt32BE(word, i * 4);
  value.copy(bytes, 12);
  return bytes;
}

/** Pairs of 64-bit address and size, up to one of zeros (5.3.1). */
function reservationsSize(block: Buffer): number {
  let at = 0;
  while (block.readBigUInt64BE(at) !== 0n || block.readBigUInt64BE(at + 8) !== 0n) at += 16;
  return at + 16;
}

function scan(bytes: Buffer): Scan | undefined {
  if (bytes.length < HEADER.size || bytes.readUInt32BE(0) !== MAGIC) return undefined;
  const field = (offset: number): number => bytes.readUInt32BE(offset);
  const strings = bytes.subarray(field(HEADER.strings), field(HEADER.strings) + field(HEADER.stringsSize));
  if (field(HEADER.total) > bytes.length || strings.length < field(HEADER.stringsSize)) return undefined;
  if (field(HEADER.version) < VERSION) return undefined;
  try {
    reservationsSize(bytes.subarray(field(HEADER.reservations)));
    return walk(bytes, field(HEADER.structure), strings);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function walk(bytes: Buffer, structure: number, strings: Buffer): Scan | undefined {
  const found: Scan = { nodes: new Map(), properties: [], end: 0 };
  const nodes: string[] = [];
  let at = structure;
  for (;;) {
    const token = bytes.readUInt32BE(at);
    at += 4;
    if (token === TOKEN.beginNode) {
      const name = textAt(bytes, at);
      nodes.push(name);
      at = aligned(at + name.length + 1);
      found.nodes.set(nodes.join('/'), at);
    } else if (token === TOKEN.endNode) {
      nodes.pop();
    } else if (token === TOKEN.property) {
      const length = bytes.readUInt32BE(at);
      const name = textAt(strings, bytes.readUInt32BE(at + 4));
      const value = bytes.subarray(at + 8, at + 8 + length);
      found.properties.push({ node: nodes.join('/'), name, token: at - 4, value });
      at = aligned(at + 8 + length);
    } else if (token === TOKEN.end) {
      return { ...found, end: at };
    } else if (token !== TOKEN.nop) {
      return undefined;
    }
  }
}

/** A property that is a string, or the first of several. */
const textOf = (value: Buffer): string => value.toString('latin1').replace(/\0.*/s, '');

/** The string that begins there, up to its zero byte. */
function textAt(bytes: Buffer, from: number): string {
  const end = bytes.indexOf(0, from);
  if (end === -1) throw new RangeError('unterminated');
  return bytes.toString('latin1', from, end);
}

const aligned = (offset: number): number => Math.ceil(offset / 4) * 4;
