// A base definition (images/bases/NAME.yaml): which packages of which archives, or which image, make the system roles build on.
import type { z } from 'zod';
import type { Language } from '../lib/yaml/load.ts';
import { loadNamed } from '../lib/yaml/named.ts';
import { baseJsonSchema, baseSchema } from './schema.ts';

type BaseFile = z.output<typeof baseSchema>;
export type BaseDefinition = BaseFile & { name: string };
/** A base that is made of packages. */
export type PackageBase = Extract<BaseFile, { kind: 'packages' }> & { name: string };
/** A base that is an image taken apart, with packages on top. */
export type ImageBase = Extract<BaseFile, { kind: 'image' }> & { name: string };

const baseLanguage: Language<BaseFile> = {
  kind: 'base',
  schema: baseSchema,
  jsonSchema: baseJsonSchema,
  least: 'what debian-trixie.yaml says, to begin with',
};

/** Reads a base from the first of `dirs` that has it. Throws PiimgError (usage): unknown, or all that is wrong in the file. */
export async function loadBase(name: string, dirs: string[]): Promise<BaseDefinition> {
  return loadNamed(name, dirs, baseLanguage);
}
