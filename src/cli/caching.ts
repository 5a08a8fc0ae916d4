// Looks after the cache: what is in it, what no build has used for long, whether it is whole.
import { readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import type { LayerIndex } from '../layers/layer.ts';
import { abandoned } from '../lib/alive.ts';
import { PiimgError } from '../lib/errors.ts';
import { digestIfThere } from '../host/store.ts';
import { stageDamage } from '../image/stage.ts';
import { removeTrees } from '../layers/cache.ts';
import { treeDifference } from '../layers/verify-tree.ts';
import { nativeToolsAt } from '../sandbox/native-tools.ts';
import { openSandbox, type Sandbox } from '../sandbox/root.ts';
import { nativeDigests, toolsDamage } from '../sandbox/tools-record.ts';
import type { Context } from './context.ts';
import type { CacheEntry, PruneResult, VerifyResult } from './engine-types.ts';

/** An entry and the folder or file it is. */
type Found = CacheEntry & { path: string };

/** Everything in the cache, biggest first. */
export async function listCache(context: Context): Promise<CacheEntry[]> {
  return (await findEntries(context.cacheDir)).map(({ path: _, ...entry }) => entry);
}

/**
 * Removes what was not used for `days` days. Layers first: their files belong to ids only a sandbox has, which needs the tools. While a
 * build is under way, which marks what it uses before it does, whatever was used within a day stays.
 */
export async function pruneCache(days: number, context: Context): Promise<PruneResult> {
  const busy = days < 1 && (await isBusy(context.cacheDir));
  if (busy) {
    await context.progress.step('prune', async (step) => {
      step.note('another piimg is at work: what was used within a day stays');
    });
  }
  const limit = Date.now() - (busy ? 1 : days) * 86_400_000;
  const entries = (await findEntries(context.cacheDir)).filter(({ used }) => Date.parse(used) <= limit);
  const paths = (wanted: boolean) =>
    entries.filter(({ kind }) => (kind === 'layer') === wanted).map((entry) => entry.path);
  if (paths(true).length > 0) {
    const tools = await someTools(context.cacheDir);
    if (tools === undefined) {
      throw new PiimgError('The layers cannot be removed: the native tools that made them are gone', {
        hint: `Build once more, or remove ${path.join(context.cacheDir, 'layers')} as root.`,
      });
    }
    await removeTrees(openSandbox(nativeToolsAt(tools), await nativeDigests(tools)), paths(true));
  }
  for (const entry of paths(false)) await rm(entry, { recursive: true, force: true });
  return {
    removed: entries.map(({ path: _, ...entry }) => entry),
    freed: entries.reduce((sum, { size }) => sum + size, 0),
  };
}

/** Whether a process that is still there works in the cache: each has a folder named after it. */
async function isBusy(cacheDir: string): Promise<boolean> {
  const work = (await readdir(path.join(cacheDir, 'tmp')).catch(() => [])).filter((name) => WORK.test(name));
  return work.length > abandoned(work, WORK).length;
}

const WORK = /^(\d+)-/;

/**
 * Compares every digest in the cache: downloads with their names, native tools with their record, archives and files of layers
 * with their indexes. The files are read with the tools, as they belong to ids only a sandbox has. What is damaged loses its time,
 * so that the next build looks at it as closely.
 */
export async function verifyCache(context: Context): Promise<VerifyResult> {
  const damaged: VerifyResult['damaged'] = [];
  const found = await findEntries(context.cacheDir);
  const entries = [...found.filter(({ kind }) => kind === 'tools'), ...found.filter(({ kind }) => kind !== 'tools')];
  await context.progress.step('verify', async (step) => {
    const total = entries.reduce((sum, { size }) => sum + size, 0);
    let done = 0;
    let sandbox: Sandbox | undefined;
    for (const entry of entries) {
      context.signal.throwIfAborted();
      const { kind, key, path: place } = entry;
      const check = {
        tools: () => toolsDamage(place, true),
        layer: () => checkLayer(entry, sandbox, context.signal),
        stage: () => stageDamage(place, key),
        download: () => checkFile(place, key),
      }[kind];
      // npm and apt compare what they have stored with digests of their own, whenever they read it.
      const reason = await check?.();
      if (reason !== undefined) {
        damaged.push({ path: place, reason });
        await utimes(place, 0, 0);
      } else if (kind === 'tools') {
        sandbox = openSandbox(nativeToolsAt(place), await nativeDigests(place));
      }
      step.update({ message: entry.title, done: (done += entry.size), total, unit: 'bytes' });
    }
    if (!sandbox && entries.some(({ kind }) => kind === 'layer')) {
      step.note(
        'no native tools: of the layers, only the archives were read, not the files that layers are built upon',
      );
    }
  });
  return { checked: entries.length, damaged };
}

async function checkLayer(
  entry: Found,
  sandbox: Sandbox | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { path: dir, key } = entry;
  const index = await readIndex(dir);
  if (index?.key !== key) return 'its index cannot be read';
  const archive = await checkFile(path.join(dir, 'layer.tar'), index.digest);
  // The next build puts missing files back from the archive.
  const tree = await stat(path.join(dir, 'tree')).catch(() => undefined);
  return archive ?? (tree && sandbox && treeDifference(sandbox, { dir, index }, signal));
}

async function checkFile(file: string, sha256: string): Promise<string | undefined> {
  try {
    const found = await digestIfThere(file);
    if (found === undefined) return 'it is gone';
    return found === sha256 ? undefined : 'its sha256 differs';
  } catch (error) {
    return (error as Error).message;
  }
}

/** Folders of small files → kind and title of each. */
const NOTES: Record<string, [kind: string, title: string]> = {
  bases: ['clock', 'when these packages were first seen'],
  updates: ['updates', 'security updates that wait'],
  'boot-times': ['boots', 'how long boots took'],
  'image-files': ['image', 'which image a file holds'],
};

async function findEntries(cacheDir: string): Promise<Found[]> {
  const names = (...parts: string[]) => readdir(path.join(cacheDir, ...parts)).catch((): string[] => []);
  const found: Found[] = [];
  for (const key of await names('layers')) {
    const dir = path.join(cacheDir, 'layers', key);
    const [index, tar, json] = [
      await readIndex(dir),
      await info(path.join(dir, 'layer.tar')),
      await info(path.join(dir, 'layer.json')),
    ];
    // The tree holds the same files once more; it may be missing.
    const tree = await stat(path.join(dir, 'tree')).catch(() => undefined);
    found.push({
      kind: 'layer',
      key,
      title: index?.title ?? 'damaged',
      size: tree ? 2 * tar.size : tar.size,
      used: json.used,
      path: dir,
    });
  }
  // Those with a dot in their names are still being made.
  for (const key of (await names('tools')).filter((name) => !name.includes('.'))) {
    const dir = path.join(cacheDir, 'tools', key);
    const { used } = await info(path.join(dir, 'tools.json'));
    found.push({ kind: 'tools', key, title: 'native tools', size: await folderSize(dir), used, path: dir });
  }
  if ((await names('npm')).length > 0) {
    const dir = path.join(cacheDir, 'npm');
    const { used } = await info(dir);
    found.push({ kind: 'npm', key: 'npm', title: 'npm packages', size: await folderSize(dir), used, path: dir });
  }
  for (const key of await names('apt')) {
    const dir = path.join(cacheDir, 'apt', key);
    // The folder's own time is when they were fetched.
    const used = [(await info(dir)).used, (await info(path.join(dir, 'lock'))).used].sort().at(-1) ?? '';
    found.push({ kind: 'lists', key, title: 'package lists', size: await folderSize(dir), used, path: dir });
  }
  for (const [folder, [kind, title]] of Object.entries(NOTES)) {
    for (const key of await names(folder)) {
      const file = path.join(cacheDir, folder, key);
      found.push({ kind, key, title, ...(await info(file)), path: file });
    }
  }
  for (const key of await names('images')) {
    const dir = path.join(cacheDir, 'images', key);
    const { used } = await info(path.join(dir, 'image.json'));
    found.push({ kind: 'image', key, title: 'packages of an image', size: await folderSize(dir), used, path: dir });
  }
  for (const key of await names('stages')) {
    const dir = path.join(cacheDir, 'stages', key);
    const { used } = await info(path.join(dir, 'stage.json'));
    const { blocks = 0 } = (await stat(path.join(dir, 'stage.img')).catch(() => undefined)) ?? {};
    found.push({ kind: 'stage', key, title: 'file system', size: blocks * 512, used, path: dir });
  }
  for (const part of await names('store')) {
    for (const key of await names('store', part)) {
      const file = path.join(cacheDir, 'store', part, key);
      found.push({ kind: 'download', key, title: '', ...(await info(file)), path: file });
    }
  }
  return found.sort((a, b) => b.size - a.size);
}

async function readIndex(dir: string): Promise<LayerIndex | undefined> {
  return readFile(path.join(dir, 'layer.json'), 'utf8')
    .then(
      (text) => JSON.parse(text) as LayerIndex,
      () => undefined,
    )
    .catch(() => undefined);
}

/** When a build last used it: builds set these files' times (findLayer, markUsed). */
async function info(file: string): Promise<{ size: number; used: string }> {
  const found = await stat(file).catch(() => undefined);
  return { size: found?.size ?? 0, used: (found?.mtime ?? new Date(0)).toISOString() };
}

async function folderSize(dir: string): Promise<number> {
  let size = 0;
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true }).catch(() => [])) {
    if (entry.isFile()) size += (await stat(path.join(entry.parentPath, entry.name)).catch(() => undefined))?.size ?? 0;
  }
  return size;
}

async function someTools(cacheDir: string): Promise<string | undefined> {
  return (await findEntries(cacheDir)).find(({ kind }) => kind === 'tools')?.path;
}
