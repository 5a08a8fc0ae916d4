// A boot partition in memory with small stand-ins for what a card has.
import type { BootPartition } from '../../../../src/boot/firmware/partition.ts';

type Content = string | Buffer;

/** The partition of these files, whose content comes in pieces. */
export function partitionOf(files: Record<string, Content>): BootPartition {
  const byName = new Map(Object.entries(files).map(([name, content]) => [name.toLowerCase(), Buffer.from(content)]));
  return {
    async find(path) {
      const content = byName.get(path.toLowerCase());
      if (content === undefined) return undefined;
      return {
        size: content.length,
        async *chunks() {
          for (let at = 0; at < content.length; at += 1000) yield content.subarray(at, at + 1000);
        },
      };
    },
  };
}

/** A node: its properties, which are strings, and the nodes below it. */
interface Node {
  [name: string]: string | Node;
}

/** A flattened device tree with these nodes below its root, and one reserved range of memory. */
export function deviceTree(root: Node): Buffer {
  const words: Buffer[] = [];
  let strings = '';
  const word = (value: number): void => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    words.push(bytes);
  };
  const text = (value: string): void => {
    words.push(Buffer.from(value.padEnd(Math.ceil((value.length + 1) / 4) * 4, '\0'), 'latin1'));
  };
  const add = (node: string, content: Node): void => {
    word(1);
    text(node);
    // As the format has it: properties first.
    for (const [name, value] of Object.entries(content)) {
      if (typeof value !== 'string') continue;
      [3, value.length + 1, strings.length].forEach(word);
      text(value);
      strings += `${name}\0`;
    }
    for (const [name, value] of Object.entries(content)) if (typeof value !== 'string') add(name, value);
    word(2);
  };
  add('', root);
  [4, 9].forEach(word);
  const structure = Buffer.concat(words);
  const reservations = Buffer.alloc(32);
  reservations.writeBigUInt64BE(0x1000n, 8);
  const header = Buffer.alloc(40);
  const first = header.length + reservations.length;
  const total = first + structure.length + strings.length;
  const offsets = [total, first, first + structure.length, header.length];
  const fields = [0xd00dfeed, ...offsets, 17, 16, 0, strings.length, structure.length];
  for (const [index, value] of fields.entries()) header.writeUInt32BE(value, index * 4);
  return Buffer.concat([header, reservations, structure, Buffer.from(strings, 'latin1')]);
}

/** As Linux and as Raspberry Pi's kernel number the ports of a Pi 3. */
export const UPSTREAM = deviceTree({
  aliases: { serial0: '/soc/serial@7e201000', serial1: '/soc/serial@7e215040' },
  chosen: { 'stdout-path': 'serial1:115200n8' },
});
export const DOWNSTREAM = deviceTree({
  aliases: { serial5: '/soc/serial@7e215040', serial0: '/soc/serial@7e215040', serial1: '/soc/serial@7e201000' },
  chosen: { bootargs: 'coherent_pool=1M 8250.nr_uarts=1' },
});

const names = (list: string): Record<string, string> => Object.fromEntries(list.split(' ').map((name) => [name, name]));

/** A card that every board can start from, with more kernels than any needs. */
export const CARD: Record<string, Content> = {
  ...names(
    'bootcode.bin start.elf start_x.elf start_db.elf start_cd.elf start4.elf start4x.elf start4db.elf start4cd.elf',
  ),
  ...names('fixup.dat fixup_x.dat fixup_db.dat fixup_cd.dat fixup4.dat fixup4x.dat fixup4db.dat fixup4cd.dat'),
  ...names('kernel.img kernel7.img kernel7l.img kernel8.img kernel_2712.img a.img b.img'),
  ...names('initramfs initramfs7 initramfs7l initramfs8 initramfs_2712 a.gz b.gz'),
  ...names(
    'overlays/README overlays/overlay_map.dtb overlays/disable-bt.dtbo overlays/miniuart-bt.dtbo overlays/vc4-kms-v3d.dtbo',
  ),
  'bcm2710-rpi-3-b.dtb': DOWNSTREAM,
  'bcm2837-rpi-3-b.dtb': UPSTREAM,
  'bcm2710-rpi-3-b-plus.dtb': DOWNSTREAM,
  'bcm2711-rpi-4-b.dtb': DOWNSTREAM,
  'bcm2712-rpi-5-b.dtb': DOWNSTREAM,
  'my.dtb': DOWNSTREAM,
  'cmdline.txt': 'root=/dev/mmcblk0p2\n',
  'other.txt': 'root=other\n',
};
