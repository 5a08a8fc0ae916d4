// What a role file may say: the schema from which validation, types and the editors' JSON schema come.
import * as z from 'zod';
import { cmdline, config } from './schema/board.ts';
import { line, packageName, word } from '../lib/yaml/words.ts';
import { localPath, name, variables } from './schema/common.ts';
import { inlineFile, overlay, runStep } from './schema/content.ts';
import { healthCheck } from './schema/health.ts';
import { aptPackage, aptSource, artifact, debconf, npmApp } from './schema/packages.ts';
import { provisionStep } from './schema/provision.ts';
import { firewall, groupEntry, keymap, locale, modules, sysctl, timezone, units, user } from './schema/system.ts';

/** What `extends` and `with` take. */
export const roleReference = word(
  /^([a-z0-9][a-z0-9._-]*|[^\p{Cc}]+\.ya?ml)$/u,
  'the name of a role, or a .yaml file relative to this one',
);

// Every key but `version` and `summary` may be left out, and has no default here: a default would win over what an
// extended role says. They are filled in when all files are merged (resolve.ts).
export const roleFileSchema = z.strictObject({
  version: z.literal(1).describe('Version of the role language: 1.'),
  summary: line.describe('One sentence: what a machine of this role is for.'),
  base: name.optional().describe('Base system to build on; debian-trixie when left out.'),
  extends: roleReference.optional().describe('Role that this one adds to.'),
  with: z.array(roleReference).optional().describe('Roles mixed in after `extends`, in this order.'),
  variables: variables.optional(),
  packages: z.array(aptPackage).optional().describe('Debian packages to install.'),
  remove: z.array(packageName).optional().describe('Debian packages to remove, also from the base.'),
  emulate: z
    .array(packageName)
    .optional()
    .describe('Packages whose install scripts need the real arm64 programs: slower, for scripts that fail otherwise.'),
  debs: z
    .array(localPath.regex(/\.deb$/, { error: 'a .deb file, relative to the role file' }))
    .optional()
    .describe('.deb files to install, relative to the role file.'),
  debconf: z.array(debconf).optional().describe('Answers to the questions that packages ask.'),
  sources: z.array(aptSource).optional().describe('Further apt archives.'),
  npm: z.array(npmApp).optional().describe('Node.js applications, installed with `npm ci` from their lock file.'),
  artifacts: z.array(artifact).optional().describe('Files to download.'),
  overlays: z.array(overlay).optional().describe('Folders of files to copy into the image.'),
  files: z.array(inlineFile).optional().describe('Small files, written here.'),
  run: z.array(runStep).optional().describe('Scripts that run inside the image while it is built.'),
  users: z.array(user).optional().describe('Users to create. Images carry no passwords.'),
  groups: z.array(groupEntry).optional().describe('Groups to create.'),
  units: units.optional().describe('systemd units to enable, disable or mask.'),
  sysctl: sysctl.optional(),
  modules: modules.optional().describe('Kernel modules.'),
  firewall: firewall.optional(),
  config: config.optional(),
  cmdline: cmdline.optional(),
  timezone: timezone.optional(),
  locale: locale.optional(),
  keymap: keymap.optional(),
  provision: z.array(provisionStep).optional().describe('Steps of the first boot.'),
  health: z.array(healthCheck).optional().describe('What is true of a healthy node of this role.'),
});

/** One role file as validated, before anything is merged. */
export type RoleFile = z.output<typeof roleFileSchema>;

let jsonSchema: Record<string, unknown> | undefined;

/** The schema for editors, draft-07 because that is what they read. */
export function roleJsonSchema(): Record<string, unknown> {
  jsonSchema ??= { title: 'piimg role', ...z.toJSONSchema(roleFileSchema, { target: 'draft-7', io: 'input' }) };
  return jsonSchema;
}
