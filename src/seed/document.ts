// The node document, `piimg.json`: what a machine knows of itself and its peers when it provisions itself on first boot.
import * as z from 'zod';
import { word } from '../lib/yaml/words.ts';

/** A host name's label, RFC 1123 section 2.1, in lower case: what DNS, cloud-init and file names all take. */
export const nodeName = word(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'a host name in lower case, like `pi-web1`');
/** As roles are named (src/role/schema/common.ts). */
const roleName = word(/^[a-z0-9][a-z0-9._-]*$/, 'a role, like `web`');
/** As mustache, shells and systemd's EnvironmentFile all take it. */
export const variableName = word(/^[A-Za-z_][A-Za-z0-9_]*$/, 'letters, digits and `_`, like `port`');
/** Without the spellings that hold an IPv4 address (`::ffff:192.0.2.1`): zod takes them, the JSON schema that it makes does not. */
const ipv6 = z.ipv6().refine((text) => z.regexes.ipv6.test(text));
export const address = z.union([z.ipv4(), ipv6], { error: 'an IP address, like `192.168.254.122`' });

/** Names that templates have for something else. */
export const RESERVED = ['node', 'peers', 'secrets'];

export const nodeDocument = z.strictObject({
  version: z.literal(1).describe('Version of the document: 1.'),
  buildId: word(/^[0-9a-f]{64}$/, '64 lower-case hex digits').describe('Build id of the image it is for.'),
  node: nodeName.optional().describe('Name of the machine; its host name when left out.'),
  role: roleName.optional().describe('Role of the image it is for.'),
  network: z
    .strictObject({
      addresses: z.array(address).default([]).describe('Its own addresses, the one that peers use first.'),
    })
    .prefault({})
    .describe('What its peers and its own templates are told of its network; cloud-init sets it up.'),
  variables: z
    .record(variableName, z.union([z.string(), z.number(), z.boolean()]))
    .default({})
    .describe("Values for the templates of the first boot; they go before the role's."),
  peers: z
    .record(roleName, z.array(z.strictObject({ name: nodeName, addresses: z.array(address).min(1) })))
    .default({})
    .describe('Other machines, by their role.'),
  secrets: z
    .record(variableName, z.string().nullable())
    .default({})
    .describe('Passwords and the like; null: the machine has kept the one it was given.'),
  report: word(/^https?:\/\/[^\s/?#@]+([/?#]\S*)?$/, 'a URL, like `http://192.168.254.1:8080/done`')
    .optional()
    .describe('Where the result of the first boot is sent, by POST.'),
});
/** A document with what was left out filled in. */
export type NodeDocument = z.output<typeof nodeDocument>;

/** The schema as it is shipped, and as the agent on the machine checks it. */
export function nodeJsonSchema(): Record<string, unknown> {
  return { title: 'piimg node document', ...z.toJSONSchema(nodeDocument, { target: 'draft-7', io: 'input' }) };
}
