// What a role adds to the firmware's config.txt and to the kernel's command line.
import * as z from 'zod';
import { nearest } from '../../lib/suggest.ts';

/** Board filters of config.txt, as the Raspberry Pi documentation lists them ("Conditional filters"). */
export const BOARD_FILTERS: readonly string[] =
  'all none pi0 pi0w pi02 pi1 pi2 pi3 pi3+ pi4 pi400 pi5 pi500 cm0 cm1 cm3 cm3+ cm4 cm4s cm5 cm5l'.split(' ');
/** Filters with a value of their own: a monitor's EDID, a GPIO's level, a board's serial number. */
const VALUE_FILTER = /^(EDID=[A-Za-z0-9_-]+|gpio([0-9]|[1-4][0-9]|5[0-3])=[01]|0x[0-9a-fA-F]{1,16})$/;

const filter = z.string().superRefine((text, context) => {
  if (BOARD_FILTERS.includes(text) || VALUE_FILTER.test(text)) return;
  const bare = text.replace(/^\[|\]$/g, '');
  const suggestion = nearest(bare, BOARD_FILTERS);
  context.addIssue({
    code: 'custom',
    message: `\`${text}\` is not a filter of config.txt`,
    params: {
      allowed: `${BOARD_FILTERS.join(', ')}, EDID=NAME, gpioN=0, gpioN=1, a serial number like 0x12345678`,
      suggestion,
    },
  });
});

/** The firmware reads no more of a line ("The file is an ASCII text file with … a limit of 98 characters"). */
const CONFIG_LINE_LIMIT = 98;

/** Lines of config.txt that piimg or the kernel's package writes, with the reason. */
const OWNED_CONFIG: [RegExp, string][] = [
  [
    /^(kernel|initramfs|auto_initramfs|ramfsfile|os_prefix|arm_64bit)\b/,
    'which kernel is started is written when it is installed',
  ],
  [/^cmdline\b/, 'the kernel command line is in cmdline.txt; use `cmdline:` to add to it'],
  [/^include\b/, 'lines are written into one file; put them here'],
  [/^\[/, 'a filter is a key of its own: `config: { pi4: [...] }`'],
];

const configLine = z.string().superRefine((text, context) => {
  const refuse = (message: string): void => context.addIssue({ code: 'custom', message });
  if (!/^[\x20-\x7e]+$/.test(text)) return refuse('a line of config.txt is printable ASCII on one line');
  if (text.length > CONFIG_LINE_LIMIT) {
    return refuse(`the firmware ignores what passes ${CONFIG_LINE_LIMIT} characters; this has ${text.length}`);
  }
  const owned = OWNED_CONFIG.find(([pattern]) => pattern.test(text.trim()));
  if (owned !== undefined) refuse(`\`${text.trim()}\` cannot be set by a role: ${owned[1]}`);
});

export const config = z
  .record(filter, z.array(configLine))
  .describe('Lines for config.txt by filter: `all: [...]`, `pi4: [...]`, `cm4: [...]`.')
  .meta({ propertyNames: { anyOf: [{ enum: [...BOARD_FILTERS] }, { pattern: VALUE_FILTER.source }] } });

/** Words of cmdline.txt that piimg writes, with the reason. */
const OWNED_WORDS: [RegExp, string][] = [
  [
    /^(root|rootfstype|rootflags|rootwait|rootdelay|ro|rw)(=|$)/,
    'the root file system is found by the id that the image gets',
  ],
  [/^console=/, 'consoles are set for each board, and the tests read them'],
  [/^(init|rdinit|initrd)=/, 'the image starts systemd from its own initramfs'],
  [/^(fsck\.(mode|repair)|resize)(=|$)/, 'checking and growing the file system are part of every image'],
  [/^(ds|cloud-init)=/, 'cloud-init reads its seed from the boot partition'],
  [/^cma=/, 'the memory for the GPU is chosen for each board'],
  [/^systemd\.(run|unit|machine_id|firstboot)/, 'the first boot belongs to piimg'],
];

const cmdlineWord = z.string().superRefine((text, context) => {
  if (!/^[\x21-\x7e]+$/.test(text)) {
    context.addIssue({ code: 'custom', message: 'an entry of `cmdline` is one word without spaces, like `quiet`' });
    return;
  }
  const owned = OWNED_WORDS.find(([pattern]) => pattern.test(text));
  if (owned === undefined) return;
  context.addIssue({ code: 'custom', message: `\`${text}\` cannot be set by a role: ${owned[1]}` });
});
export const cmdline = z.array(cmdlineWord).describe('Words to add to the kernel command line.');
