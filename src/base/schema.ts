// What a base definition may say: the schema from which validation, types and the editors' JSON schema come.
import * as z from 'zod';
import { line, packageName, word } from '../lib/yaml/words.ts';

const packages = (description: string) => z.array(packageName).describe(description);

const archive = z.strictObject({
  name: word(/^[a-z0-9][a-z0-9.-]*$/, 'lower-case letters, digits, `.` and `-`, like `debian`').describe(
    'What messages and the lock call it.',
  ),
  suites: z
    .array(word(/^[A-Za-z0-9][A-Za-z0-9./-]*$/, 'a suite, like `trixie-updates`'))
    .min(1)
    .describe('Suites to read, like trixie and trixie-updates.'),
  components: z
    .array(word(/^[A-Za-z0-9][A-Za-z0-9./-]*$/, 'a component, like `main`'))
    .min(1)
    .describe('Components to read, like main and non-free-firmware.'),
});

const file = z.strictObject({
  path: word(
    /^(?!\.{1,2}(\/|$))[^/\p{Cc}]+(\/(?!\.{1,2}(\/|$))[^/\p{Cc}]+)*$/u,
    'a path in the image without leading `/` and `..`, like `etc/fstab`',
  ).describe('Path in the image, without leading slash.'),
  content: z.string().describe('Its text.'),
  mode: word(/^0[0-7]{3}$/, 'permission bits as four octal digits, like `0644`')
    .default('0644')
    .meta({ type: ['string', 'integer'], description: 'Permission bits in octal; 0644 when left out.' }),
});

const run = z.strictObject({
  name: line.describe('What progress and errors call it.'),
  script: z.string().describe('Shell script, run by /bin/sh -eu as root inside the image, without network.'),
});

const board = z.strictObject({
  name: line.describe('Names of the boards.'),
  boots: z.boolean().describe('Whether an image of this base is meant to be used on them.'),
  note: line.describe('What works, what does not, what was never tried.'),
});

const head = {
  version: z.literal(1).describe('Version of the language of bases: 1.'),
  summary: line.describe('One sentence: what the base is.'),
};

/** What every base says, or the one that it is a variant of. */
const common = {
  ...head,
  architecture: z.literal('arm64').describe("Debian's name of the architecture: arm64."),
  emulate: packages('Packages whose install scripts need the real arm64 programs.').default([]),
  files: z.array(file).default([]).describe('Files written before the packages are configured.'),
  run: z.array(run).default([]).describe('Scripts that run when all packages are configured.'),
  boards: z.array(board).describe('Boards that images of this base are for, or are not.'),
};

const packageBase = z.strictObject({
  kind: z.literal('packages').default('packages').describe('A system made of packages; meant when left out.'),
  ...common,
  keyring: word(/^\/[^\p{Cc}]+$/u, 'an absolute path on the machine that builds').describe(
    'File with the keys that sign the archives, on the machine that builds.',
  ),
  mirror: word(/^https?:\/\/\S+$/, 'an http or https URL')
    .optional()
    .describe('Where the archives are; --mirror, PIIMG_MIRROR and the apt of the machine that builds when left out.'),
  archives: z.array(archive).min(1).describe('Archives that packages come from.'),
  packages: packages('Packages to install beside those that Debian calls essential.'),
});

const image = z
  .strictObject({
    list: word(/^https?:\/\/\S+$/, 'an http or https URL').describe(
      'List of images in the format of Raspberry Pi Imager; --os-list and PIIMG_OS_LIST name another.',
    ),
    names: z
      .array(line)
      .min(1)
      .describe('What the list calls the image; the newest of all entries with one of these names is taken.'),
  })
  .describe('Where the image is.');

const imageBase = z.strictObject({
  kind: z.literal('image').describe('A system that somebody else made an image of.'),
  ...common,
  image,
  mirror: word(/^https?:\/\/\S+$/, 'an http or https URL')
    .optional()
    .describe("Where the archives of Debian are that the image's own apt sources name; as with --mirror."),
  packages: packages('Packages to install beside those of the image.').default([]),
});

const variant = z.strictObject({
  kind: z.literal('variant').describe('Another image, with all else of a base that is there.'),
  ...head,
  of: word(/^[^/\s]+$/, 'the name of a base, like `raspios-lite`').describe(
    'The base, of kind `image`, that says all else.',
  ),
  image,
});

/** A base made of packages, taken from an image, or like another one of an image: `kind` says which. */
export const baseSchema = z.discriminatedUnion('kind', [packageBase, imageBase, variant]);

let jsonSchema: Record<string, unknown> | undefined;

/** The schema for editors, draft-07 because that is what they read. */
export function baseJsonSchema(): Record<string, unknown> {
  jsonSchema ??= { title: 'piimg base', ...z.toJSONSchema(baseSchema, { target: 'draft-7', io: 'input' }) };
  return jsonSchema;
}
