// The image of role web that the system tests share: built by the command line as a user would, once for all of them.
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { cacheFolder } from '../../src/cli/context.ts';
import { run } from '../../src/host/exec.ts';
import type { ImageManifest } from '../../src/image/manifest.ts';
import { PiimgError } from '../../src/lib/errors.ts';
import { piimgCommand } from './command.ts';

export interface BuiltImage {
  image: string;
  bmap: string;
  lock: string;
  manifest: ImageManifest;
  cacheDir: string;
}

/**
 * Builds `web` in a project folder that lies in the cache, so that the next test (and the next run) finds lock and image there:
 * nothing changed is no work.
 */
export async function builtWeb(): Promise<BuiltImage> {
  const cacheDir = cacheFolder(process.env);
  const project = path.join(cacheDir, 'test', 'project');
  await mkdir(project, { recursive: true });
  await run([...piimgCommand(), 'build', '--role', 'web', '--progress', 'log'], {
    cwd: project,
    signal: AbortSignal.timeout(20 * 60_000),
    onLine: (line) => line.startsWith('=') && console.log(line),
  }).catch(showDetail);
  return readBuilt(path.join(project, 'out'), cacheDir);
}

/** What a build of `web` has left in its folder `out`. */
export async function readBuilt(out: string, cacheDir: string): Promise<BuiltImage> {
  const manifest = JSON.parse(await readFile(path.join(out, 'web.manifest.json'), 'utf8')) as ImageManifest;
  return {
    image: path.join(out, manifest.image.file),
    bmap: path.join(out, manifest.image.bmap),
    lock: path.join(out, 'web.lock.json'),
    manifest,
    cacheDir,
  };
}

/** Puts what the program said into the message: the test runner shows nothing else of an error. */
export function showDetail(error: unknown): never {
  if (error instanceof PiimgError && error.detail !== undefined) error.message += `\n${error.detail}`;
  throw error;
}
