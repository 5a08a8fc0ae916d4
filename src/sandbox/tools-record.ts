// The record of native tools that were made: every file with size and digest, and whether they are still what they were.
import { lstatSync, readFileSync } from 'node:fs';
import { readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { digestIfThere } from '../host/store.ts';
import { sha256 } from '../lib/digest.ts';

interface ToolFile {
  path: string;
  size: number;
  sha256: string;
  /** No layer may hold a file like this. */
  native: boolean;
}

const RECORD = 'tools.json';

/** Where a file is one that no layer may hold. On an arm64 host, the tools' packages are those of the image. */
const GUARDED =
  process.arch === 'arm64'
    ? /^(shadow|interpreters|stubs)\//
    : /^(shadow|interpreters|stubs|root\/usr\/(bin|sbin|lib))\//;

/** Writes the record of the tools in `dir`, the last file that is put there. */
export async function writeRecord(dir: string): Promise<void> {
  const files: ToolFile[] = [];
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const path = relative(dir, file);
    // Six thousand small files: asked for one by one, the thread pool would take most of the time.
    const content = readFileSync(file);
    // Scripts and data are the same in the image's own packages; native code and stubs are not.
    const own = path.startsWith('stubs/') || content.subarray(0, 4).toString('latin1') === '\x7fELF';
    files.push({ path, size: content.length, sha256: sha256(content), native: own && GUARDED.test(path) });
  }
  await writeFile(join(dir, RECORD), JSON.stringify(files));
}

/** sha256 of every file a layer must not contain: what lies over the image, and what it was made from. */
export async function nativeDigests(dir: string): Promise<Set<string>> {
  const files = await readRecord(dir);
  return new Set(files?.filter(({ native }) => native).map(({ sha256: digest }) => digest));
}

/**
 * What is wrong with the tools in `dir`; undefined when they are whole. Sizes are compared, and the digest of what was touched (its
 * ctime) after the record was put there (the time of the folder); with `thorough`, of every file.
 */
export async function toolsDamage(dir: string, thorough = false): Promise<string | undefined> {
  const files = await readRecord(dir);
  if (!files) return `${RECORD} is missing`;
  const { mtimeMs: complete } = await stat(dir);
  let touched = false;
  for (const { path, size, sha256: digest } of files) {
    const found = lstatSync(join(dir, path), { throwIfNoEntry: false });
    if (!found?.isFile() || found.size !== size) return `${path} is not what was stored`;
    const later = found.ctimeMs > complete;
    touched ||= later;
    if ((later || thorough) && (await digestIfThere(join(dir, path))) !== digest)
      return `${path} is not what was stored`;
  }
  // Copied, say: what was compared once need not be the next time.
  if (touched) await utimes(dir, new Date(), new Date());
  return undefined;
}

async function readRecord(dir: string): Promise<ToolFile[] | undefined> {
  try {
    return JSON.parse(await readFile(join(dir, RECORD), 'utf8')) as ToolFile[];
  } catch {
    return undefined;
  }
}
