// What every command works with: where definitions are looked for, the cache, how progress is shown, when to stop.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { packageRoot } from '../host/package-root.ts';
import type { Progress } from '../lib/progress.ts';
import { createProgress, type ProgressKind } from '../ui/progress.ts';
import type { Stage } from '../ui/steps.ts';

/** Folders in the order they are searched: the user's before the built-in ones. */
export interface SearchPaths {
  roleDirs: string[];
  overlayDirs: string[];
  baseDirs: string[];
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
  return { roleDirs: below('images/roles'), overlayDirs: below('overlays'), baseDirs: below('images/bases') };
}

/** $PIIMG_CACHE, else `piimg` below $XDG_CACHE_HOME or ~/.cache. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  if (env.PIIMG_CACHE) return path.resolve(env.PIIMG_CACHE);
  return path.join(env.XDG_CACHE_HOME ? path.resolve(env.XDG_CACHE_HOME) : path.join(homedir(), '.cache'), 'piimg');
}
