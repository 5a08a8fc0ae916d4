// The health checks of a role: written once, used by the boot test, by the first-boot agent, by fleet status.
import * as z from 'zod';
import { line, word } from '../../lib/yaml/words.ts';
import { absolutePath, duration, unitName } from './common.ts';

/** A minute: a service on a Pi 3 that is still starting is not yet ill. */
const DEFAULT_WITHIN = '60s';

const common = {
  name: line.optional().describe('What is shown for the check; made from its fields when left out.'),
  within: duration
    .prefault(DEFAULT_WITHIN)
    .describe('The check is repeated until it passes or this time is over, counted from when the system has started.'),
};
const port = z.int().min(1).max(65535);
const json = z.union([z.string(), z.number(), z.boolean(), z.null()]);

export const healthCheck = z
  .discriminatedUnion('check', [
    z.strictObject({
      check: z.literal('unit').describe('A systemd unit is active.'),
      unit: unitName.describe('The unit.'),
      ...common,
    }),
    z.strictObject({
      check: z.literal('tcp').describe('A TCP port answers.'),
      port: port.describe('The port on the node.'),
      send: z.string().optional().describe('Text sent first, for protocols in which the client speaks first.'),
      expect: z.string().optional().describe('Text that must be in the answer; any byte when left out.'),
      ...common,
    }),
    z.strictObject({
      check: z.literal('http').describe('An HTTP address answers as it should.'),
      port: port.default(80).describe('The port on the node.'),
      path: word(/^\/[^\s]*$/, 'a path, like `/health`')
        .default('/')
        .describe('Path and query.'),
      status: z.int().min(100).max(599).default(200).describe('Status code.'),
      body: z.string().optional().describe('Text that must be in the body.'),
      json: z
        .record(z.string(), json)
        .optional()
        .describe('Values in a JSON body, by their path: `{ status: ok, disk.free: 10 }`.'),
      ...common,
    }),
    z.strictObject({
      check: z.literal('command').describe('A command ends and prints as it should.'),
      command: z.string().min(1).describe('Shell command, run as root on the node.'),
      exit: z.int().min(0).max(255).default(0).describe('Exit status.'),
      output: z.string().optional().describe('Text that must be in what it prints.'),
      ...common,
    }),
    z.strictObject({
      check: z.literal('file').describe('A file exists, with a content.'),
      path: absolutePath.describe('The file.'),
      contains: z.string().optional().describe('Text that must be in it.'),
      ...common,
    }),
    z.strictObject({
      check: z.literal('mount').describe('Something is mounted, with options.'),
      path: absolutePath.or(z.literal('/')).describe('Where it is mounted.'),
      options: z.array(line).default([]).describe('Options it must be mounted with, like noatime.'),
      ...common,
    }),
    z.strictObject({
      check: z.literal('closed').describe('A port is not open to other machines.'),
      port: port.describe('The port on the node.'),
      protocol: z.enum(['tcp', 'udp']).default('tcp').describe('tcp or udp.'),
      ...common,
    }),
    z.strictObject({
      check: z.literal('reached').describe('A systemd unit became active soon enough.'),
      unit: unitName.default('multi-user.target').describe('The unit; a target stands for all that belongs to it.'),
      seconds: z
        .int()
        .min(1)
        .describe("How long that may take, by the node's own clock, which starts with its kernel."),
      ...common,
    }),
  ])
  .describe('One thing that is true of a healthy node.');
export type HealthCheck = z.output<typeof healthCheck>;
