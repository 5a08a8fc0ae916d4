// The steps with which a node becomes its role on first boot: validated here, carried out by the first-boot agent.
import * as z from 'zod';
import { accountName, line, word } from '../../lib/yaml/words.ts';
import { absolutePath, duration, group, mode, name, owner, unitName } from './common.ts';

const common = {
  name: name.describe('Name of the step; unique in the role.'),
  after: z.array(name).default([]).describe('Steps that must have succeeded before this one.'),
};
const port = z.int().min(1).max(65535);
const script = z.string().min(1);

export const provisionStep = z
  .discriminatedUnion('step', [
    z.strictObject({
      step: z
        .literal('template')
        .describe('Writes a file from a template, with what the node knows of itself and its peers.'),
      overlay: name.describe('Overlay that has the template.'),
      template: word(/^(?!\/)(?!.*(^|\/)\.\.(\/|$))[^\p{Cc}]+$/u, "a path below the overlay's node/ folder").describe(
        "Path below the overlay's node/ folder.",
      ),
      destination: absolutePath.describe('File to write.'),
      mode: mode.prefault('0644'),
      owner,
      group,
      ...common,
    }),
    z.strictObject({
      step: z.literal('directory').describe('Makes a folder.'),
      path: absolutePath.describe('The folder.'),
      mode: mode.prefault('0755'),
      owner,
      group,
      ...common,
    }),
    z.strictObject({
      step: z.literal('user').describe('Makes a user.'),
      user: accountName.describe('Login name.'),
      system: z.boolean().default(false).describe('A user that runs a service.'),
      groups: z.array(accountName).default([]).describe('Further groups.'),
      ...common,
    }),
    z.strictObject({
      step: z.literal('group').describe('Makes a group.'),
      group: accountName.describe('Name of the group.'),
      system: z.boolean().default(false).describe('A group for a service.'),
      ...common,
    }),
    z.strictObject({
      step: z.literal('unit').describe('Brings a systemd unit into a state.'),
      unit: unitName.describe('The unit.'),
      state: z
        .enum(['started', 'stopped', 'restarted', 'reloaded', 'enabled', 'disabled'])
        .default('started')
        .describe('The state; enabled and disabled also start and stop it.'),
      ...common,
    }),
    z.strictObject({
      step: z.literal('command').describe('Runs a shell script as root, unless its work is already done.'),
      script: script.describe(
        'The script; {{name}} is one word of it, whatever is in it, {{{name}}} the text as it is. One that was cut or failed is run again from its beginning, whatever its guards say: it has to bear that. What it prints goes into the journal.',
      ),
      creates: absolutePath.optional().describe('The work is done when this exists.'),
      unless: script.optional().describe('The work is done when this command succeeds.'),
      timeout: duration.prefault('5m').describe('How long it may take.'),
      ...common,
    }),
    z.strictObject({
      step: z.literal('wait').describe('Waits until a port answers, here or on the peers of a role.'),
      port: port.describe('The port.'),
      peers: name.optional().describe('Role of the peers to wait for; this node when left out.'),
      timeout: duration.prefault('5m').describe('How long to wait.'),
      ...common,
    }),
    z.strictObject({
      step: z.literal('sql').describe('Runs statements in a database server on this node, unless already done.'),
      server: z.enum(['mariadb', 'postgresql']).describe('The server.'),
      database: line.optional().describe('The database; the default one of the server when left out.'),
      statements: script.describe(
        'SQL statements; {{name}} is a string literal, quotes included. Those that were cut or failed are run again from the first one, whatever `unless` says: they have to bear that (`IF NOT EXISTS`).',
      ),
      unless: script.optional().describe('The work is done when this query gives a row.'),
      ...common,
    }),
    z.strictObject({
      step: z.literal('disk').describe('Formats an empty data disk and mounts it; a disk that holds data is refused.'),
      device: absolutePath.describe('The disk, best by its id: /dev/disk/by-id/…'),
      mount: absolutePath.describe('Where to mount it.'),
      filesystem: z.enum(['ext4']).default('ext4').describe('File system.'),
      options: z.array(line).default(['noatime']).describe('Mount options.'),
      ...common,
    }),
    z.strictObject({
      step: z.literal('swap').describe('Sets up swap: compressed memory, or a file.'),
      kind: z.enum(['zram', 'file']).default('zram').describe('Compressed memory, or a file on the card.'),
      size: word(/^\d+[MG]$/, 'a size, like `512M` or `1G`').describe('Size of the swap.'),
      ...common,
    }),
    z.strictObject({
      step: z.literal('hosts').describe('Writes the peers of the node into /etc/hosts.'),
      roles: z.array(name).default([]).describe('Only peers of these roles; all when left out.'),
      ...common,
    }),
    z.strictObject({
      step: z.literal('firewall').describe('Loads the firewall again, after templates have written to it.'),
      ...common,
    }),
  ])
  .describe('One step of the first boot. Every step is skipped when its work is already done.');
export type ProvisionStep = z.output<typeof provisionStep>;
