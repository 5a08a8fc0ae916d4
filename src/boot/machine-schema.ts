// What a machine definition may say: the schema from which validation, types and the editors' JSON schema come.
import * as z from 'zod';
import { line, word } from '../lib/yaml/words.ts';

const option = word(/^[^\p{Cc}\s]+$/u, 'a QEMU option without spaces, like `virtio-net-pci,romfile=`');
const tty = word(/^tty[A-Za-z]*\d+$/, 'a serial device, like `ttyAMA0`');

const accelerator = z.strictObject({
  name: z.enum(['kvm', 'hvf', 'tcg']).describe('kvm: on arm64 Linux; hvf: on Apple silicon; tcg: emulation, anywhere.'),
  machine: option.describe("QEMU's -machine with it."),
  cpu: option.optional().describe("QEMU's -cpu with it; the machine's own when left out."),
  tried: z.boolean().describe('Whether piimg was ever run with it; reports say so when it was not.'),
});

const card = z.strictObject({
  device: option
    .optional()
    .describe("QEMU's device that the card is put into; the machine's own SD controller when left out."),
  least: z.int().min(64).describe('MiB of the smallest card: more than an image has, so that its root must grow.'),
  sizes: z.enum(['any', 'powers of two']).default('any').describe('Which sizes the controller takes.'),
});

const mac = word(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/, 'six pairs of hex digits, like `b8:27:eb:00:00:01`');

const network = z.strictObject({
  device: option.describe("QEMU's network device."),
  macs: z.tuple([mac, mac]).describe('Addresses of its network card, and of the second one it has in tests.'),
});

const node = word(/^(\/[\w,.+-]+(@[\da-f,]+)?)+$/, 'the path of a node, like `/soc/hdmi@7ef00700`');

const firmware = z.strictObject({
  board: word(/^[a-z0-9-]+$/, 'a board, like `pi3b`').describe('As which Raspberry Pi the card is read.'),
  deviceTree: z.enum(['card', 'machine']).describe("Whether the kernel gets the card's device tree or QEMU's own."),
  disable: z.array(node).default([]).describe("Nodes of the card's device tree whose device QEMU's machine has not."),
  remove: z
    .array(z.strictObject({ node, property: line.describe('Its name.') }))
    .default([])
    .describe('Properties of nodes that it has, which name a device that it has not.'),
});

const machine = z.strictObject({
  version: z.literal(1).describe('Version of the language of machines: 1.'),
  title: line.describe('What reports call it.'),
  summary: line.describe('One sentence: what it is good for.'),
  qemu: word(/^\d+(\.\d+)+$/, 'a version, like `7.2`').describe('The first QEMU to use for it.'),
  reaches: z
    .enum(['health', 'login'])
    .default('health')
    .describe('How far a boot can be followed: to the health checks, or without a network to the login prompt.'),
  firmware: firmware.describe("What stands in for the Raspberry Pi's firmware."),
  accelerators: z.array(accelerator).min(1).describe('How its processors may be run, the best first.'),
  processors: z.int().min(1).max(16).describe('How many it has.'),
  memory: z.int().min(256).describe('MiB.'),
  card: card.describe('Where the image goes.'),
  network: network.optional().describe('Its network cards; left out: none.'),
  serials: z.array(tty).min(1).describe("What the kernel calls its serial ports, in QEMU's order."),
  console: tty.describe('The one with the kernel console.'),
  devices: z.array(option).default([]).describe('Other devices, as for -device.'),
  options: z.array(option).default([]).describe('Other options of QEMU.'),
  powerButton: z.boolean().default(false).describe('Whether QEMU can press a power button that it has.'),
  cmdline: z.array(option).default([]).describe('Arguments the kernel gets after those of cmdline.txt.'),
  notExercised: z.array(line).default([]).describe('What a Raspberry Pi has and it has not, a sentence each.'),
});

export const machineSchema = machine
  .refine(({ accelerators }) => accelerators.some(({ name }) => name === 'tcg'), {
    path: ['accelerators'],
    error: 'one of them must be `tcg`, which works everywhere',
  })
  .refine(
    ({ firmware: { deviceTree, disable, remove } }) => deviceTree === 'card' || disable.length + remove.length === 0,
    {
      path: ['firmware'],
      error: "`disable` and `remove` change the card's device tree: they need `deviceTree: card`",
    },
  )
  .refine(({ serials, console }) => serials.includes(console), {
    path: ['console'],
    error: '`console` must be one of `serials`',
  });

let jsonSchema: Record<string, unknown> | undefined;

/** The schema for editors, draft-07 because that is what they read. */
export function machineJsonSchema(): Record<string, unknown> {
  jsonSchema ??= { title: 'piimg machine', ...z.toJSONSchema(machineSchema, { target: 'draft-7', io: 'input' }) };
  return jsonSchema;
}
