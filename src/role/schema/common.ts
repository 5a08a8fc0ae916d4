// The words the role language is spelled with: names, paths, modes, owners, durations.
import * as z from 'zod';
import { word } from '../../lib/yaml/words.ts';

/** Roles, overlays, variables' owners: what also has to be a file name everywhere. */
export const name = word(/^[a-z0-9][a-z0-9._-]*$/, 'lower-case letters, digits, `.`, `_` and `-`, like `my-role`');

/** A path in the image. */
export const absolutePath = word(
  /^(\/(?!\.{1,2}(\/|$))[^/\p{Cc}]+)+$/u,
  'an absolute path in the image without `..` and without `/` at the end, like `/etc/motd`',
);

/** A path on the machine that builds, relative to the folder of the role file. */
export const localPath = word(/^[^\p{Cc}]+$/u, 'a path relative to the folder of the role file');

/** Permission bits in octal. YAML reads 0644 as a number: the loader hands over what was written. */
export const mode = word(/^(0o?)?[0-7]{3,4}$/, 'permission bits in octal, like `0644`')
  .transform((digits) => Number.parseInt(digits.replace('o', ''), 8))
  .meta({ type: ['string', 'integer'], description: 'Permission bits in octal, like 0644.' });

/** A user or group, by name (words.ts) or number. */
export const account = z
  .union([word(/^([a-z_][a-z0-9_-]{0,30}\$?|\d+)$/, 'a user or group by name or number, like `web`'), z.int().min(0)])
  .transform(String);
export const owner = account.optional().describe('User that owns it, by name or number; root when left out.');
export const group = account.optional().describe('Group it belongs to, by name or number; root when left out.');

/** Debian policy 5.6.12: [epoch:]upstream[-revision]; apt takes a `-` at the end for an order to remove. */
export const PACKAGE_VERSION = '(\\d+:)?\\d([A-Za-z0-9.+~-]*[A-Za-z0-9.+~])?';
export const packageVersion = word(
  new RegExp(`^${PACKAGE_VERSION}$`),
  'a full Debian version, like `1.26.3-3+deb13u1`',
);

/** The unit types of systemd.unit(5) that can be enabled or masked. */
export const unitName = word(
  /^[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\-]*)?\.(service|socket|timer|path|mount|automount|swap|target|slice)$/,
  'a unit name with its type, like `web.service`',
);

export const sha256 = word(/^[0-9a-f]{64}$/, 'the sha256 as 64 lower-case hex digits (`sha256sum FILE` prints it)');

const SECONDS = { s: 1, m: 60, h: 3600 } as const;
/** A length of time; seconds once it is read. */
export const duration = word(/^\d+[smh]$/, 'a length of time, like `90s` or `5m`').transform(
  (text) => Number.parseInt(text, 10) * SECONDS[text.at(-1) as keyof typeof SECONDS],
);

/** Names as the shell, systemd's EnvironmentFile and Mustache all take them. */
export const variableName = word(/^[A-Za-z_][A-Za-z0-9_]*$/, 'letters, digits and `_`, like `port` or `PORT`');
export const variables = z
  .record(variableName, z.union([z.string(), z.number(), z.boolean()]))
  .describe('Values for the *.mustache files of overlays.');
