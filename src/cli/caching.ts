// Looks after the cache: what is in it, what no build has used for long, whether it is whole.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { LayerIndex } from '../layers/layer.ts';
import { PiimgError } from '../lib/errors.ts';
import { removeTrees } from '../layers/cache.ts';
import { nativeDigests, nativeToolsAt } from '../sandbox/native-tools.ts';
import { openSandbox } from '../sandbox/root.ts';
import type { Context } from './context.ts';
import type { CacheEntry, PruneResult, VerifyResult } from './engine-types.ts';

/** An entry and the folder or file it is. */
type Found = CacheEntry & { path: string };

/** Everything in the cache, biggest first. */
export async function listCache(context: Context): Promise<CacheEntry[]> {
  return (await findEntries(context.cacheDir)).map(({ path: _, ...entry }) => entry);
}

/** Removes what was not used for `days` days. Layers first: their files belong to ids only a sandbox has, which needs the tools. */
export async function pruneCache(days: number, context: Context): Promise<PruneResult> {
  const limit = Date.now() - days * 86_400_000;
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

/** Compares every digest in the cache: downloads with their names, layers with their indexes. */
export async function verifyCache(context: Context): Promise<VerifyResult> {
  const damaged: VerifyResult['damaged'] = [];
  const entries = (await findEntries(context.cacheDir)).filter(({ kind }) => kind !== 'tools');
  await context.progress.step('verify', async (step) => {
    const total = entries.reduce((sum, { size }) => sum + size, 0);
    let done = 0;
    for (const entry of entries) {
      context.signal.throwIfAborted();
      const reason = entry.kind === 'layer' ? await checkLayer(entry) : await checkFile(entry.path, entry.key);
      if (reason !== undefined) damaged.push({ path: entry.path, reason });
      step.update({ message: entry.title, done: (done += entry.size), total, unit: 'bytes' });
    }
  });
  return { checked: entries.length, damaged };
}

async function checkLayer(entry: Found): Promise<string | undefined> {
  const index = await readIndex(entry.path);
  if (index?.key !== entry.key) return 'its index cannot be read';
  if (!(await stat(path.join(entry.path, 'tree')).catch(() => undefined))) return 'its files are gone';
  return checkFile(path.join(entry.path, 'layer.tar'), index.digest);
}

async function checkFile(file: string, sha256: string): Promise<string | undefined> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  } catch (error) {
    return (error as Error).message;
  }
  return hash.digest('hex') === sha256 ? undefined : 'its sha256 differs';
}

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
    // The tree holds the same files once more.
    found.push({
      kind: 'layer',
      key,
      title: index?.title ?? 'damaged',
      size: 2 * tar.size,
      used: json.used,
      path: dir,
    });
  }
  for (const key of await names('tools')) {
    const dir = path.join(cacheDir, 'tools', key);
    const { used } = await info(path.join(dir, 'digests.json'));
    found.push({ kind: 'tools', key, title: 'native tools', size: await folderSize(dir), used, path: dir });
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
  const dir = path.join(cacheDir, 'tools');
  const keys = await readdir(dir).catch((): string[] => []);
  const key = keys.find((name) => !name.includes('.'));
  return key === undefined ? undefined : path.join(dir, key);
}
