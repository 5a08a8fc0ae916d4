// What the machine is told: the node document from the boot partition, the image's build id, the role.
import { readFile } from 'node:fs/promises';
import { Validator, type Schema } from '@cfworker/json-schema';
import schema from '../images/schemas/node-document.schema.json' with { type: 'json' };
import type { ProvisionStep } from '../src/role/schema/provision.ts';
import type { NodeDocument } from '../src/seed/document.ts';
import type { Paths } from './paths.ts';
import { Problem } from './problem.ts';

/** usr/lib/piimg/role.json, as the build writes it (src/plan/plan.ts). */
export interface Role {
  role: string;
  variables: Record<string, string | number | boolean>;
  provision: ProvisionStep[];
}

export interface Given {
  document: NodeDocument;
  /** As it lay on the boot partition. */
  text: string;
}

/**
 * The document, with what it leaves out filled in and secrets that were blanked on the card taken from the machine. Throws Problem:
 * which field and why, or that it is for another image.
 */
export async function readDocument(paths: Paths): Promise<Given> {
  const text = await readFile(paths.document, 'utf8').catch((error: unknown) => {
    throw new Problem(`The node document ${paths.document} cannot be read: ${(error as Error).message}`, {
      hint: 'Write the card again, or give it its identity with: piimg seed --in-place',
      cause: error,
    });
  });
  const document = parseDocument(text);
  const { buildId } = await readJson<{ buildId: string }>(paths.image);
  if (document.buildId !== buildId) {
    throw new Problem(
      `The node document is for another image: it names build ${short(document.buildId)}, this is ${short(buildId)}.`,
      { hint: 'Make the seed with the image that is on this card: piimg seed --in-place' },
    );
  }
  return { text, document: { ...document, secrets: await withKept(document.secrets, paths) } };
}

export async function readRole(paths: Paths): Promise<Role> {
  const {
    role,
    variables = {},
    provision,
  } = await readJson<Partial<Role> & Pick<Role, 'role' | 'provision'>>(paths.role);
  return { role, variables, provision };
}

/** Throws Problem, naming each field that is wrong. */
export function parseDocument(text: string): NodeDocument {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    // The parser's words quote the text, which may be a secret.
    throw new Problem('The node document is not JSON.', { hint: REPAIR });
  }
  const { valid, errors } = new Validator(schema as Schema, '7', false).validate(found);
  if (!valid) {
    // A field inside which something is wrong is wrong as well: the innermost ones say what.
    const places = errors.map(({ instanceLocation }) => instanceLocation);
    const innermost = errors.filter(({ instanceLocation: at }) => !places.some((other) => other.startsWith(`${at}/`)));
    const faults = innermost.map(
      ({ instanceLocation, error }) => `${instanceLocation.slice(2) || 'document'}: ${error}`,
    );
    throw new Problem(`The node document is not valid: ${[...new Set(faults)].join(' ')}`, { hint: REPAIR });
  }
  const document = found as Partial<NodeDocument> & Pick<NodeDocument, 'version' | 'buildId'>;
  return { variables: {}, peers: {}, secrets: {}, ...document, network: { addresses: [], ...document.network } };
}

const REPAIR = 'Correct piimg.json on the boot partition, or write it again with: piimg seed --in-place';

async function withKept(secrets: NodeDocument['secrets'], paths: Paths): Promise<NodeDocument['secrets']> {
  const blank = Object.keys(secrets).filter((name) => secrets[name] === null);
  if (blank.length === 0) return secrets;
  const kept = await readJson<Record<string, string>>(paths.secrets).catch((): Record<string, string> => ({}));
  const lost = blank.filter((name) => kept[name] === undefined);
  if (lost.length > 0) {
    throw new Problem(`The node document has no value for ${lost.map((name) => `secrets.${name}`).join(', ')}.`, {
      hint: 'This machine was never given one: piimg seed --in-place --secret NAME=FILE',
    });
  }
  return { ...secrets, ...Object.fromEntries(blank.map((name) => [name, kept[name] ?? null])) };
}

async function readJson<T>(file: string): Promise<T> {
  return JSON.parse(await readFile(file, 'utf8')) as T;
}

const short = (buildId: string): string => buildId.slice(0, 12);
