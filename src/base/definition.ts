// A base definition (images/bases/NAME.yaml): which packages of which archives, or which image, make the system roles build on.
import type { z } from 'zod';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { Language } from '../lib/yaml/load.ts';
import { loadNamed } from '../lib/yaml/named.ts';
import { baseJsonSchema, baseSchema } from './schema.ts';

type BaseFile = z.output<typeof baseSchema>;
/** A base that is made of packages. */
export type PackageBase = Extract<BaseFile, { kind: 'packages' }> & { name: string };
/** A base that is an image taken apart, with packages on top. */
export type ImageBase = Extract<BaseFile, { kind: 'image' }> & { name: string };
export type BaseDefinition = PackageBase | ImageBase;

const baseLanguage: Language<BaseFile> = {
  kind: 'base',
  schema: baseSchema,
  jsonSchema: baseJsonSchema,
  least: 'what debian-trixie.yaml says, to begin with',
};

/**
 * Reads a base from the first of `dirs` that has it; a variant comes with all that it has of another. Throws PiimgError (usage): unknown,
 * or all that is wrong in the file.
 */
export async function loadBase(name: string, dirs: string[]): Promise<BaseDefinition> {
  const base = await loadNamed(name, dirs, baseLanguage);
  if (base.kind !== 'variant') return base;
  const original = await loadNamed(base.of, dirs, baseLanguage);
  if (original.kind !== 'image') {
    throw new PiimgError(`Base ${name} is a variant of \`${base.of}\`, which is no base of kind \`image\``, {
      exitCode: EXIT.usage,
      hint: 'Name one under `of`, such as raspios-lite.',
    });
  }
  return { ...original, name, summary: base.summary, image: base.image };
}
