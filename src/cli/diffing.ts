// Differences between two images or plans: their packages, and their files where both have some.
import { open, readFile, stat, type FileHandle } from 'node:fs/promises';
import * as z from 'zod';
import { filesOfImage, type ImageFile } from '../image/files.ts';
import type { LockedPackage } from '../image/manifest.ts';
import { readerOf } from '../image/ranges.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { Context } from './context.ts';
import { compareFiles, filesOfLayers, installedPackages } from './diffing-files.ts';
import type { DiffResult, PackageChanges } from './engine-types.ts';

type Package = Pick<LockedPackage, 'name' | 'version'>;

/**
 * Compares two images, manifests or plans, given by path. Images are read themselves; where only a manifest lies there (of an image
 * that is compressed or gone), the layers in the cache tell of its files.
 */
export async function diffImages(a: string, b: string, context: Context): Promise<DiffResult> {
  const handles = await Promise.all([a, b].map((file) => openImage(file)));
  try {
    const [left, right] = handles;
    if (left && right) {
      const [before, after] = [await readImage(left, a), await readImage(right, b)];
      return {
        packages: comparePackages(await installedPackages(before), await installedPackages(after)),
        files: { from: 'images', ...(await compareFiles(before, after, context.signal)) },
      };
    }
  } finally {
    for (const handle of handles) await handle?.close();
  }
  const [left, right] = [await readRecord(a), await readRecord(b)];
  const packages = comparePackages(left.packages, right.packages);
  if (!left.image || !right.image) return { packages };
  const [before, after] = [await filesOfLayers(left, a, context), await filesOfLayers(right, b, context)];
  return { packages, files: { from: 'layers', ...(await compareFiles(before, after, context.signal)) } };
}

async function readImage(handle: FileHandle, file: string): Promise<Map<string, ImageFile>> {
  try {
    return await filesOfImage(readerOf(handle));
  } catch (error) {
    // What reads beyond the end, or finds a number that cannot be, is a file that is no image of this kind, or a cut one.
    if (!(error instanceof PiimgError || error instanceof RangeError)) throw error;
    throw new PiimgError(`${file} cannot be read as an image: ${error.message}`, { cause: error });
  }
}

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const common = { version: z.literal(1), packages: z.array(z.object({ name: z.string(), version: z.string() })) };
/** What is read of a record here: a manifest has an image and its layers, a plan has packages alone. */
const recordSchema = z.union([
  z.object({
    ...common,
    image: z.object({}),
    layers: z.array(z.object({ title: z.string(), key: sha256, digest: sha256 })),
  }),
  z.object({ ...common, image: z.undefined().optional() }),
]);

const COMPRESSED = /\.(xz|zst|gz)$/;

async function openImage(file: string): Promise<FileHandle | undefined> {
  if (file.endsWith('.json') || COMPRESSED.test(file)) return undefined;
  const found = await stat(file).catch(() => undefined);
  return found?.isFile() ? open(file) : undefined;
}

/** Packages by name; one in two versions cannot be installed, so the name says which. */
export function comparePackages(before: Package[], after: Package[]): PackageChanges {
  const [old, fresh] = [before, after].map((list) => new Map(list.map((item) => [item.name, item])));
  const only = (list: Package[], other: Map<string, Package> | undefined) =>
    list.filter(({ name }) => !other?.has(name)).map(({ name, version }) => ({ name, version }));
  return {
    added: only(after, old),
    removed: only(before, fresh),
    changed: after.flatMap(({ name, version }) => {
      const from = old?.get(name)?.version;
      return from === undefined || from === version ? [] : [{ name, from, to: version }];
    }),
  };
}

async function readRecord(file: string): Promise<z.infer<typeof recordSchema>> {
  const source = file.endsWith('.json') ? file : `${file.replace(COMPRESSED, '').replace(/\.img$/, '')}.manifest.json`;
  const text = await readFile(source, 'utf8').catch((error: unknown) => {
    throw new PiimgError(`${source} cannot be read`, {
      exitCode: EXIT.usage,
      hint: COMPRESSED.test(file)
        ? 'Unpack the image: it is compared by its file systems.'
        : 'Give an image, a manifest, or what `piimg plan --json` printed.',
      cause: error,
    });
  });
  const { success, data } = recordSchema.safeParse(parse(text));
  if (success) return data;
  throw new PiimgError(`${source} is neither a manifest nor a plan`, {
    exitCode: EXIT.usage,
    hint: 'A manifest lies beside its image; `piimg plan --json` prints a plan.',
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
