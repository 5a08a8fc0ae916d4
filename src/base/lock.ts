// The lock: every package an image is made of, by version and digest, so that a later build is the same image.
import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { PiimgError } from '../lib/errors.ts';
import { writeWhole } from '../lib/write-whole.ts';

const lockedPackage = z.strictObject({
  name: z.string(),
  version: z.string(),
  architecture: z.string(),
  sha256: z.string().length(64),
  size: z.number(),
  filename: z.string().optional(),
  source: z.string(),
});

const lockedImage = z.strictObject({
  /** What the list, or its file, calls it. */
  name: z.string(),
  /** Of the image unpacked, and its bytes. */
  sha256: z.string().length(64),
  size: z.number(),
  /** Of the file that was downloaded, where there was one. */
  packed: z.strictObject({ sha256: z.string().length(64), size: z.number() }).optional(),
  /** Where that was, without what is nobody else's business; absent for a file of this machine's. */
  url: z.string().optional(),
  released: z.string().optional(),
  suite: z.string(),
  /** Name → version. */
  packages: z.record(z.string(), z.string()),
  /** Its cards are told who they are in the format of its own first boot; else by cloud-init. */
  firstBoot: z.literal('own').optional(),
});

const lockSchema = z.strictObject({
  version: z.literal(1),
  base: z.string(),
  /** The clock of the build (SOURCE_DATE_EPOCH): when this set of the base's packages was first resolved. */
  created: z.string(),
  /** When the base's packages were last resolved; those of an older piimg do not say, which means `created`. No image depends on it. */
  checked: z.string().optional(),
  /** What was asked for: digests of the base's and of the role's requests. */
  request: z.strictObject({ base: z.string(), role: z.string() }),
  /** Of a base that is an image: which one, and what it has. `basePackages` are those on top. */
  image: lockedImage.optional(),
  /** Host-architecture packages of the native tools, by architecture. */
  tools: z.record(z.string(), z.array(lockedPackage)),
  /** Names of the packages unpacked and configured first, in order. */
  essential: z.array(z.string()),
  basePackages: z.array(lockedPackage),
  rolePackages: z.array(lockedPackage),
  /** What npm add-ons are compiled with, on top of all others: never part of the image. */
  buildPackages: z.array(lockedPackage).optional(),
  removed: z.array(z.string()),
  artifacts: z.array(z.strictObject({ url: z.string(), sha256: z.string() })),
  npm: z.array(z.strictObject({ destination: z.string(), lockfile: z.string() })),
});

export type Lock = z.infer<typeof lockSchema>;
export type LockedImage = z.infer<typeof lockedImage>;

const REMEDY = 'Restore it from version control, or delete it: the next build resolves again.';

/** Reads a lock; undefined when there is none. Throws PiimgError when the file is not one. */
export async function readLock(file: string): Promise<Lock | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const result = lockSchema.safeParse(parseJson(text, file));
  if (result.success) return result.data;
  throw new PiimgError(`${file} is not a lock file of this version of piimg`, {
    detail: result.error.issues
      .slice(0, 5)
      .map(({ path, message }) => `${path.join('.')}: ${message}`)
      .join('\n'),
    hint: REMEDY,
  });
}

/** Writes the lock beside its place and renames it. */
export async function writeLock(file: string, lock: Lock): Promise<void> {
  await writeWhole(file, `${JSON.stringify(lock, null, 1)}\n`);
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new PiimgError(`${file} is not whole: it is no JSON`, { detail, hint: REMEDY, cause: error });
  }
}
