// A node, `node.yaml`: what one machine is given beside its image. Its name, users, network, variables, peers, secrets.
import * as z from 'zod';
import { accountName, publicKey, timeZone, utf8Locale } from '../lib/yaml/words.ts';
import { nodeDocument, nodeName, RESERVED, variableName } from './document.ts';
import { network } from './network.ts';

/** crypt(5): yescrypt, gost-yescrypt, scrypt, sha512crypt, sha256crypt, bcrypt. The message leaves the value out. */
const passwordHash = z.string().refine((text) => /^\$(y|gy|7|6|5|2[abxy])\$[./A-Za-z0-9$=,]{1,250}$/.test(text), {
  error:
    'the hash of a password begins with `$y$`, `$6$`, `$5$` or the like (crypt(5)): `openssl passwd -6` prints one',
});

const user = z.strictObject({
  name: accountName
    .refine((name) => name !== 'root', { error: 'root cannot log in by ssh: name another user, with sudo' })
    .describe('Login name.'),
  keys: z.array(publicKey).default([]).describe('Public ssh keys that may log in.'),
  sudo: z.boolean().optional().describe('Whether sudo asks for nothing; true for the first user when left out.'),
  groups: z.array(accountName).default([]).describe('Further groups.'),
  passwordHash: passwordHash
    .optional()
    .describe('Hash of a password, as `mkpasswd` or `openssl passwd -6` prints it; left out: logging in takes a key.'),
});

/** What a machine is given, all but its name. */
export const nodeParts = {
  users: z.array(user).default([]).describe('Who may log in, beside the users of the role.'),
  network: network.prefault({}).describe('Its network; DHCP on every wired card when left out.'),
  locale: utf8Locale.optional().describe("Locale of the system, instead of the image's."),
  timezone: timeZone.optional().describe("Time zone, like Europe/Berlin, instead of the image's."),
  variables: nodeDocument.shape.variables,
  peers: nodeDocument.shape.peers,
  // A value that is no text is not shown: it may be a secret all the same.
  secrets: z
    .record(variableName, z.string())
    .default({})
    .describe('Passwords and the like; better given with --secret, from files of their own.'),
  report: nodeDocument.shape.report,
  hostKeys: z.boolean().default(false).describe('Whether piimg makes its ssh host key, to be known beforehand.'),
};

const node = z.strictObject({
  version: z.literal(1).describe('Version of the language of nodes: 1.'),
  node: nodeName.optional().describe('Name of the machine, its host name; else --node says it.'),
  ...nodeParts,
});

export const nodeSchema = node.superRefine((value, context) => checkParts(value, context));

/** What the parts do not tell each for itself; `path` leads to them. */
export function checkParts(
  { users = [], variables = {} }: { users?: { name: string }[]; variables?: object },
  context: z.core.$RefinementCtx,
  path: string[] = [],
): void {
  const names = users.map(({ name }) => name);
  for (const [index, name] of names.entries()) {
    if (names.indexOf(name) === index) continue;
    context.addIssue({
      code: 'custom',
      path: [...path, 'users', index, 'name'],
      message: `there is a user \`${name}\` already`,
    });
  }
  for (const name of Object.keys(variables).filter((each) => RESERVED.includes(each))) {
    const message = `\`${name}\` cannot be a variable: templates have that name for something else`;
    context.addIssue({ code: 'custom', path: [...path, 'variables', name], message });
  }
}

/** A node file with what was left out filled in; its name may still be missing. */
export type NodeFile = z.output<typeof nodeSchema>;
export type User = NodeFile['users'][number];
/** A node that can be written. */
export type Node = NodeFile & { node: string };

let jsonSchema: Record<string, unknown> | undefined;

/** The schema for editors, draft-07 because that is what they read. */
export function nodeFileJsonSchema(): Record<string, unknown> {
  jsonSchema ??= { title: 'piimg node', ...z.toJSONSchema(nodeSchema, { target: 'draft-7', io: 'input' }) };
  return jsonSchema;
}
