// What a role takes from elsewhere: apt packages and sources, .deb files, npm applications, artifacts.
import * as z from 'zod';
import { PACKAGE_NAME, packageName, word } from '../../lib/yaml/words.ts';
import {
  absolutePath,
  group,
  localPath,
  mode,
  name,
  owner,
  PACKAGE_VERSION,
  packageVersion,
  sha256,
} from './common.ts';

const REMOVED = 'what is to be removed goes into `remove:`, without `-`';

/** `nginx`, `nginx=1.26.3-3` or a map: all become { name, version? }. */
export const aptPackage = z
  .union([
    word(
      new RegExp(`^${PACKAGE_NAME}(=${PACKAGE_VERSION})?$`),
      `a Debian package name in lower case, \`nginx\`, or one with its version, \`nginx=1.26.3-3+deb13u1\`; ${REMOVED}`,
    ).transform((text): { name: string; version?: string } => {
      const [name = '', version] = text.split('=');
      return version === undefined ? { name } : { name, version };
    }),
    z.strictObject({
      name: word(
        new RegExp(`^${PACKAGE_NAME}$`),
        `a Debian package name in lower case, like \`nginx\`; ${REMOVED}`,
      ).describe('Name of the Debian package.'),
      version: packageVersion.optional().describe('Exactly this version; in quotes when it looks like a number.'),
    }),
  ])
  .describe('A Debian package: `name`, `name=version`, or both as a map.');

/** Passwords are left out of debconf's types: an image is the same for everybody who holds it. */
export const debconf = z.strictObject({
  package: packageName.describe('Package that asks.'),
  question: word(/^[^\s]+\/[^\s]+$/, 'a debconf question, like `tzdata/Areas`').describe('The question.'),
  type: z.enum(['string', 'boolean', 'select', 'multiselect', 'note', 'text']).describe("The question's type."),
  value: z
    .union([word(/^[^\n]*$/, 'one line of text'), z.number(), z.boolean()])
    .transform(String)
    .describe('The answer.'),
});

const uri = word(/^https?:\/\/[^\s@]+$/, 'an http or https address without user and password');

export const aptSource = z.strictObject({
  name: name.describe('Name of the file below /etc/apt/sources.list.d.'),
  uris: z.array(uri).min(1).describe('Addresses of the archive.'),
  suites: z
    .array(word(/^[^\s[\]]+$/, 'a suite, like `trixie`, or a path that ends in `/`'))
    .min(1)
    .describe('Suites, or exact paths that end in a slash.'),
  components: z
    .array(word(/^[^\s[\]]+$/, 'a component, like `main`'))
    .default([])
    .describe('Components; none for exact paths.'),
  keyring: localPath.describe("File with the archive's signing keys (.gpg or .asc), relative to the role file."),
});

export const npmApp = z.strictObject({
  source: localPath.describe('Folder with package.json and package-lock.json, relative to the role file.'),
  destination: absolutePath.describe('Folder in the image.'),
  owner,
  group,
  rebuild: z
    .array(word(/^(@[a-z0-9._~-]+\/)?[a-z0-9._~-]+$/, 'the name of an npm package, like `sharp`'))
    .default([])
    .describe('Packages whose install scripts run (for arm64); those of all others do not.'),
});

export const artifact = z.strictObject({
  url: uri.describe('Where to download it from.'),
  sha256: sha256.describe('What it must be.'),
  destination: absolutePath.describe('Path of the file in the image.'),
  mode: mode.prefault('0644'),
  owner,
  group,
});
