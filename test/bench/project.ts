// A throw-away project and cache in which a bench works: what is downloaded is shared with the user's cache by hard links.
import { chmod, cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { cacheFolder, searchPaths, type Context } from '../../src/cli/context.ts';
import type { Sandbox } from '../../src/sandbox/root.ts';
import { run } from '../../src/host/exec.ts';
import { packageRoot } from '../../src/host/package-root.ts';
import { createProgress } from '../../src/ui/progress.ts';

/** What every bench builds with; the role is its own. */
export const BUILD_OPTIONS = {
  compress: 'none',
  jobs: availableParallelism(),
  offline: false,
  locked: false,
  cache: true,
  shellOnError: false,
} as const;

export interface BenchProject {
  dir: string;
  /** Its cache is the user's: what is missing is downloaded once. */
  context: Context;
  /** A cache of that name in `dir` with the same downloads and nothing built. */
  freshCache(name: string): Promise<string>;
}

/** Makes it below the user's cache, or in `keep`, which stays and is used again. */
export async function openProject(signal: AbortSignal, keep?: string): Promise<BenchProject> {
  const users = cacheFolder(process.env);
  await mkdir(users, { recursive: true });
  const dir = keep === undefined ? await mkdtemp(path.join(users, 'bench-')) : path.resolve(keep);
  await mkdir(dir, { recursive: true });
  // mmdebstrap works as another user when it is not started by root.
  await chmod(dir, 0o755);
  for (const folder of ['images', 'overlays']) {
    await cp(path.join(packageRoot, folder), path.join(dir, folder), { recursive: true });
  }
  const seed = async (from: string, to: string): Promise<string> => {
    await mkdir(to, { recursive: true });
    for (const part of ['store', 'apt']) {
      await run([
        'sh',
        '-euc',
        '[ ! -d "$1" ] || [ -d "$2" ] || cp -al "$1" "$2"',
        'sh',
        path.join(from, part),
        path.join(to, part),
      ]);
    }
    return to;
  };
  return {
    dir,
    context: { search: searchPaths(dir), cacheDir: users, ...createProgress('log'), signal },
    freshCache: (name) => seed(users, path.join(dir, name)),
  };
}

/** Removes the project; with a sandbox, as its files may belong to ids that exist only there. */
export async function removeProject({ dir }: BenchProject, sandbox: Sandbox | undefined): Promise<void> {
  // The tools that remove it may lie in it: all of it but those, then those.
  const script = 'find "$1" -mindepth 2 -maxdepth 2 ! -name tools -exec rm -rf {} +; rm -rf "$1/tree"';
  await sandbox?.tool(['sh', '-euc', script, 'sh', dir], { writable: [dir] });
  await rm(dir, { recursive: true, force: true });
}
