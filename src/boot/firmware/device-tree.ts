// Reads what the firmware looks up in a device tree: aliases, and the kernel arguments it brings along.

export interface DeviceTree {
  /** Path of a node by alias: `serial1` → `/soc/serial@7e215040`. */
  aliases: Record<string, string>;
  /** /chosen/bootargs; empty when there is none. */
  bootargs: string;
}

/** Devicetree Specification 0.4, chapter 5: header fields at 4, 8 and 12, and tokens of the structure block. */
const MAGIC = 0xd00dfeed;
const TOKEN = { beginNode: 1, endNode: 2, property: 3, nop: 4, end: 9 };

/** `undefined` when `bytes` are no flattened device tree, or not the whole of one. */
export function readDeviceTree(bytes: Buffer): DeviceTree | undefined {
  if (bytes.length < 40 || bytes.readUInt32BE(0) !== MAGIC || bytes.readUInt32BE(4) > bytes.length) return undefined;
  try {
    return walk(bytes, bytes.readUInt32BE(8), bytes.readUInt32BE(12));
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function walk(bytes: Buffer, structure: number, strings: number): DeviceTree | undefined {
  const tree: DeviceTree = { aliases: {}, bootargs: '' };
  const nodes: string[] = [];
  let at = structure;
  for (;;) {
    const token = bytes.readUInt32BE(at);
    at += 4;
    if (token === TOKEN.beginNode) {
      const name = textAt(bytes, at);
      nodes.push(name);
      at = aligned(at + name.length + 1);
    } else if (token === TOKEN.endNode) {
      nodes.pop();
    } else if (token === TOKEN.property) {
      const length = bytes.readUInt32BE(at);
      const name = textAt(bytes, strings + bytes.readUInt32BE(at + 4));
      const node = nodes.join('/');
      if (node === '/aliases') tree.aliases[name] = textAt(bytes, at + 8);
      if (node === '/chosen' && name === 'bootargs') tree.bootargs = textAt(bytes, at + 8);
      at = aligned(at + 8 + length);
    } else if (token === TOKEN.end) {
      return tree;
    } else if (token !== TOKEN.nop) {
      return undefined;
    }
  }
}

/** The string that begins there, up to its zero byte. */
function textAt(bytes: Buffer, from: number): string {
  const end = bytes.indexOf(0, from);
  if (end === -1) throw new RangeError('unterminated');
  return bytes.toString('latin1', from, end);
}

const aligned = (offset: number): number => Math.ceil(offset / 4) * 4;
