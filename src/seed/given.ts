// What the command line says of a node goes over what its file says; the two together must be a whole node.
import type { z } from 'zod';
import { EXIT, PiimgError } from '../lib/errors.ts';
import { nodeSchema, type Node, type NodeFile, type User } from './node.ts';

/** Options as they were given: what is absent was not. */
export interface Given {
  node?: string | undefined;
  user?: string | undefined;
  /** Lines of .pub files. */
  keys: string[];
  addresses: string[];
  gateway?: string | undefined;
  dns: string[];
  wifi?: { ssid?: string; password?: string; country?: string } | undefined;
  variables: Record<string, string | number | boolean>;
  secrets: Record<string, string>;
  hostKeys?: boolean | undefined;
}

/** Who gets the keys when nobody says. */
const DEFAULT_USER = 'pi';

/** Throws PiimgError (usage) naming each option that is wrong; values are not repeated, as some are secrets. */
export function completeNode(file: NodeFile | undefined, given: Given): Node {
  const merged = merge(file ?? nodeSchema.parse({ version: 1 }), given);
  const parsed = nodeSchema.safeParse(merged);
  if (!parsed.success) throw wrongOptions(parsed.error.issues);
  const { node } = parsed.data;
  if (node !== undefined) return { ...parsed.data, node };
  throw new PiimgError('The machine has no name', {
    exitCode: EXIT.usage,
    hint: 'Name it with --node, or with `node:` in the file of --from.',
  });
}

function merge(file: NodeFile, given: Given): object {
  const { network } = file;
  // Addresses and gateway belong together: a new address does not keep the gateway of another network.
  const wired = given.addresses.length > 0 ? { addresses: given.addresses } : network;
  const gateway = given.gateway ?? ('gateway' in wired ? wired.gateway : undefined);
  // Nor does another Wi-Fi keep the password of the first.
  const known = given.wifi?.ssid === undefined ? network.wifi : { country: network.wifi?.country };
  const wifi = given.wifi === undefined ? network.wifi : { ...known, ...given.wifi };
  return {
    ...file,
    node: given.node ?? file.node,
    users: mergeUsers(file.users, given),
    network: {
      addresses: wired.addresses,
      dns: given.dns.length > 0 ? given.dns : network.dns,
      ...(gateway !== undefined && { gateway }),
      ...(wifi !== undefined && { wifi }),
    },
    variables: { ...file.variables, ...given.variables },
    secrets: { ...file.secrets, ...given.secrets },
    hostKeys: given.hostKeys ?? file.hostKeys,
  };
}

/** `--user` and `--ssh-key` are about one user, the file's first unless another is named: the keys take the place of its own. */
function mergeUsers(users: User[], { user, keys }: Given): object[] {
  if (user === undefined && keys.length === 0) return users;
  const name = user ?? users[0]?.name ?? DEFAULT_USER;
  if (!users.some((one) => one.name === name)) return [{ name, keys }, ...users];
  return users.map((one) => (one.name === name && keys.length > 0 ? { ...one, keys } : one));
}

/** The options by what they set, the longest path first. */
const OPTIONS: [RegExp, string][] = [
  [/^node$/, '--node'],
  [/^users\.\d+\.keys/, '--ssh-key'],
  [/^users/, '--user'],
  [/^network\.addresses/, '--ip'],
  [/^network\.gateway/, '--gateway'],
  [/^network\.dns/, '--dns'],
  [/^network\.wifi\.password/, '--wifi-password-file'],
  [/^network\.wifi\.country/, '--wifi-country'],
  [/^network\.wifi/, '--wifi'],
  [/^variables/, '--set'],
  [/^secrets/, '--secret'],
];

function wrongOptions(issues: z.core.$ZodIssue[]): PiimgError {
  const lines = issues.map((issue) => {
    const path = issue.path.join('.');
    const option = OPTIONS.find(([pattern]) => pattern.test(path))?.[1] ?? path;
    const key = /^(?:variables|secrets)\.(.*)$/.exec(path)?.[1];
    return `${option}${key === undefined ? '' : ` ${key}`}: ${wordsOf(issue)}`;
  });
  return new PiimgError(`Not a valid node: ${lines.join('; ')}`, {
    exitCode: EXIT.usage,
    hint: 'What every option takes: piimg seed --help. All that a node can be given: piimg schema node.',
  });
}

/** A format's message is what would have been right; the others are sentences. */
function wordsOf(issue: z.core.$ZodIssue): string {
  if (issue.message === 'is missing' || (issue.code === 'invalid_type' && issue.message.endsWith('undefined')))
    return 'is missing';
  if (issue.code === 'invalid_key') return issue.issues.map(wordsOf).join(', ');
  if (issue.code === 'invalid_format' || issue.code === 'invalid_union') return `allowed is ${issue.message}`;
  return issue.message;
}
