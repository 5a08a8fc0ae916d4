// What every command works with: where definitions are looked for, the cache, how progress is shown, when to stop.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { packageRoot } from '../host/package-root.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { Progress } from '../lib/progress.ts';
import { createProgress, type ProgressKind } from '../ui/progress.ts';
import type { Stage } from '../ui/steps.ts';

/** Folders in the order they are searched: the user's before the built-in ones. */
export interface SearchPaths {
  roleDirs: string[];
  overlayDirs: string[];
  baseDirs: string[];
  machineDirs: string[];
}

export interface Context {
  search: SearchPaths;
  /** Absolute; it need not exist yet. */
  cacheDir: string;
  progress: Progress;
  /** The outermost steps that have ended, for the summary. */
  stages: Stage[];
  /** Aborted by the first Ctrl-C or SIGTERM. */
  signal: AbortSignal;
}

/** Makes the context of this process: working folder, environment, stderr. */
export function createContext(signal: AbortSignal, kind: ProgressKind = 'auto'): Context {
  return {
    search: searchPaths(process.cwd()),
    cacheDir: cacheFolder(process.env),
    ...createProgress(kind),
    signal,
  };
}

/** `images/` and `overlays/` of a user's folder, where it has them, then the ones that come with piimg. */
export function searchPaths(folder: string, builtIn: string = packageRoot): SearchPaths {
  const roots = [...new Set([path.resolve(folder), builtIn])];
  const below = (relative: string) =>
    roots.map((root) => path.join(root, relative)).filter((dir) => dir.startsWith(builtIn) || existsSync(dir));
  return {
    roleDirs: below('images/roles'),
    overlayDirs: below('overlays'),
    baseDirs: below('images/bases'),
    machineDirs: below('qemu/machines'),
  };
}

/**
 * $PIIMG_CACHE, else `piimg` below $XDG_CACHE_HOME or ~/.cache. Throws PiimgError for a path with a line break: apt tells its
 * methods where to download to line by line.
 */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  const home = env.XDG_CACHE_HOME ? path.resolve(env.XDG_CACHE_HOME) : path.join(homedir(), '.cache');
  const folder = env.PIIMG_CACHE ? path.resolve(env.PIIMG_CACHE) : path.join(home, 'piimg');
  if (!/[\r\n]/.test(folder)) return folder;
  throw new PiimgError(`The cache cannot lie in ${JSON.stringify(folder)}: there is a line break in that path`, {
    exitCode: EXIT.usage,
    hint: 'Name another folder with PIIMG_CACHE. Any other character will do.',
  });
}
