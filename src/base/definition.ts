// A base definition (images/bases/NAME.yaml): which packages of which archives make the system roles build on.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { EXIT, PiimgError } from '../lib/errors.ts';
import { nearest } from '../lib/suggest.ts';

const baseSchema = z.strictObject({
  version: z.literal(1),
  summary: z.string(),
  architecture: z.literal('arm64'),
  keyring: z.string(),
  mirror: z.string().optional(),
  archives: z.array(
    z.strictObject({
      name: z.string(),
      suites: z.array(z.string()).nonempty(),
      components: z.array(z.string()).nonempty(),
    }),
  ),
  packages: z.array(z.string()),
  emulate: z.array(z.string()).default([]),
  files: z
    .array(
      z.strictObject({
        path: z.string(),
        content: z.string(),
        mode: z
          .string()
          .regex(/^0[0-7]{3}$/)
          .default('0644'),
      }),
    )
    .default([]),
  run: z.array(z.strictObject({ name: z.string(), script: z.string() })).default([]),
  boards: z.array(z.strictObject({ name: z.string(), boots: z.boolean(), note: z.string() })),
});

export type BaseDefinition = z.infer<typeof baseSchema> & { name: string };

/** Reads `NAME.yaml` from the first of `dirs` that has it. Throws PiimgError (2): unknown name, or what is wrong in the file. */
export async function loadBase(name: string, dirs: string[]): Promise<BaseDefinition> {
  for (const dir of dirs) {
    const file = join(dir, `${name}.yaml`);
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    const result = baseSchema.safeParse(parsed(text, file));
    if (result.success) return { ...result.data, name };
    throw new PiimgError(`${file} is not a base definition`, {
      exitCode: EXIT.usage,
      detail: result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n'),
    });
  }
  const known = await baseNames(dirs);
  const near = nearest(name, known);
  throw new PiimgError(`There is no base \`${name}\` in ${dirs.join(' or ')}`, {
    exitCode: EXIT.usage,
    hint: `${near === undefined ? '' : `Did you mean \`${near}\`? `}Bases: ${known.join(', ') || 'none'}.`,
  });
}

async function baseNames(dirs: string[]): Promise<string[]> {
  const files = (await Promise.all(dirs.map((dir) => readdir(dir).catch(() => [])))).flat();
  return [...new Set(files.flatMap((file) => /^(.+)\.yaml$/.exec(file)?.[1] ?? []))].sort();
}

function parsed(text: string, file: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new PiimgError(`${file} is not YAML`, { exitCode: EXIT.usage, detail, cause: error });
  }
}
