// Files of the user's that a role takes along: read once, for their digest.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { SourceFile } from './resolved.ts';

/** A file with size and sha256, streamed. Throws the system's error when it cannot be read. */
export async function sourceFile(path: string): Promise<SourceFile> {
  const hash = createHash('sha256');
  let size = 0;
  await pipeline(createReadStream(path), async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) {
      hash.update(chunk);
      size += chunk.length;
    }
  });
  return { path, sha256: hash.digest('hex'), size };
}

/** Something in a folder; `path` is relative to it, with `/`. */
export interface TreeEntry {
  path: string;
  /** Absolute path. */
  full: string;
  /** `misnamed`: the name is not UTF-8, so that nothing can be asked of it by that name. */
  kind: 'file' | 'directory' | 'symlink' | 'special' | 'misnamed';
  /** The owner may execute it: the one permission bit that git keeps. */
  executable: boolean;
  /** A folder in which there is nothing to copy. */
  empty: boolean;
}

/** What keeps an empty folder in git, and what macOS leaves behind. */
const IGNORED = new Set(['.gitkeep', '.DS_Store']);

/** Everything below a folder, sorted by path; links are not followed. `skip` are names left out at any depth. */
export async function readTree(root: string, skip: ReadonlySet<string> = new Set()): Promise<TreeEntry[]> {
  const entries: TreeEntry[] = [];
  const visit = async (folder: string): Promise<number> => {
    const names = (await readdir(join(root, folder))).filter((name) => !IGNORED.has(name) && !skip.has(name));
    for (const name of names) {
      const path = folder === '' ? name : `${folder}/${name}`;
      const full = join(root, path);
      if (name.includes('\uFFFD')) {
        entries.push({ path, full, kind: 'misnamed', executable: false, empty: false });
        continue;
      }
      const status = await lstat(full);
      const entry: TreeEntry = {
        path,
        full,
        kind: status.isDirectory()
          ? 'directory'
          : status.isFile()
            ? 'file'
            : status.isSymbolicLink()
              ? 'symlink'
              : 'special',
        executable: (status.mode & 0o100) !== 0,
        empty: false,
      };
      entries.push(entry);
      if (entry.kind === 'directory') entry.empty = (await visit(path)) === 0;
    }
    return names.length;
  };
  await visit('');
  return entries.sort((a, b) => (a.path < b.path ? -1 : 1));
}
