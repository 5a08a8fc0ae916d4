// Installs an npm application for the image: from its lock file, for linux/arm64/glibc, its packages' scripts off.
import { chmod, lstat, readdir, readlink, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { LockedPackage } from '../../image/manifest.ts';
import { digestOfFile } from '../../lib/digest.ts';
import type { ByDigest, PlannedFile } from '../../plan/plan.ts';
import { copyUnchanged } from '../inputs.ts';
import type { StepContext } from './context.ts';
import { placeFiles } from './files.ts';
import { npmCi } from './npm-ci.ts';
import { rebuildAddons } from './npm-rebuild.ts';

export interface App {
  destination: string;
  owner: string;
  group: string;
  rebuild: string[];
  files: { path: string; mode: number; file: ByDigest }[];
}

/**
 * Copies the application, runs the host's npm (its registries, proxies and credentials count), then, in the arm64 sandbox with
 * the packages of `build`, `npm rebuild` of those named. Throws PiimgError with npm's last lines.
 */
export async function installNpmApp(
  { app, build = [] }: { app: App; build?: LockedPackage[] },
  context: StepContext,
): Promise<string[]> {
  const source = join(context.scratch, 'app');
  for (const { path, file } of app.files) {
    await copyUnchanged(context.file(file.sha256), file, join(source, path));
    await chmod(join(source, path), 0o644);
  }
  await npmCi(source, app.destination, context);
  // npm's own record of the tree names the registry it came from; only npm itself reads it.
  await rm(join(source, 'node_modules/.package-lock.json'), { force: true });
  // The application's lock and its settings for npm have done their work; addresses and tokens are nothing for an image.
  await rm(join(source, '.npmrc'), { force: true });
  await rm(join(source, 'package-lock.json'), { force: true });
  const modes = new Map(app.files.map(({ path, mode }) => [path, mode]));
  await placeFiles(await listFiles(source, app, modes, context), context);
  if (app.rebuild.length > 0) await rebuildAddons(app, build, context);
  return [];
}

/** Every file with the modes git would give it: the host's umask has no say. */
async function listFiles(
  root: string,
  app: App,
  modes: Map<string, number>,
  context: StepContext,
): Promise<PlannedFile[]> {
  const { owner, group } = app;
  const destination = app.destination.replace(/^\/+|\/+$/g, '');
  const files: PlannedFile[] = [{ path: destination, type: 'directory', mode: 0o755, owner, group }];
  const found = new Map<string, string>();
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const full = join(entry.parentPath, entry.name);
    const path = `${destination}/${relative(root, full)}`;
    const info = await lstat(full);
    if (info.isDirectory()) files.push({ path, type: 'directory', mode: 0o755, owner, group });
    else if (info.isSymbolicLink())
      files.push({ path, type: 'symlink', mode: 0o777, owner, group, target: await readlink(full) });
    else {
      const sha256 = await digestOfFile(full);
      found.set(sha256, full);
      const mode = modes.get(relative(root, full)) ?? (info.mode & 0o100 ? 0o755 : 0o644);
      files.push({ path, type: 'file', mode, owner, group, source: { sha256, size: info.size } });
    }
  }
  const before = context.file;
  context.file = (sha256) => found.get(sha256) ?? before(sha256);
  return files;
}
