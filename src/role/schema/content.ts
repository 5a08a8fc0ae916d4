// What a role writes into the image itself: overlays, inline files, run steps.
import * as z from 'zod';
import { line, word } from '../../lib/yaml/words.ts';
import { absolutePath, account, group, mode, name, owner, variableName, variables } from './common.ts';

const permission = z.strictObject({
  path: word(/^\/[^\p{Cc}]+$/u, 'an absolute path or pattern, like `/etc/web/*.key` or `/srv/**`').describe(
    'Path in the image; `*` and `?` stay inside a folder, `**` does not.',
  ),
  owner: account.optional().describe('User that owns what matches, by name or number.'),
  group: account.optional().describe('Group of what matches, by name or number.'),
  mode: mode.optional(),
});

/** `web` or a map: both become the map. */
export const overlay = z
  .union([
    name.transform((text): { name: string; variables: Record<string, string | number | boolean>; permissions: [] } => ({
      name: text,
      variables: {},
      permissions: [],
    })),
    z.strictObject({
      name: name.describe('Folder below overlays/.'),
      variables: variables.default({}),
      permissions: z
        .array(permission)
        .default([])
        .describe('Owners and modes, which git does not keep. Later entries win.'),
    }),
  ])
  .describe('A folder below overlays/ whose rootfs/ and boot/ are copied into the image.');

export const inlineFile = z.strictObject({
  path: absolutePath.describe('Path in the image.'),
  content: z.string().describe('The whole content; `|` keeps its lines.'),
  mode: mode.optional(),
  owner,
  group,
});

export const runStep = z.strictObject({
  name: line.describe('What the step does; shown while it runs.'),
  script: z.string().min(1).describe('Shell script, run by `/bin/sh -eu` as root inside the image.'),
  network: z.boolean().default(false).describe('Whether the step may use the network.'),
  env: z
    .record(variableName, z.union([z.string(), z.number(), z.boolean()]).transform(String))
    .default({})
    .describe('Environment variables.'),
});
