// A build's sandbox and the tools in it that make file systems: fetched and prepared on first use, in the cache that builds share.
import path from 'node:path';
import { prepareBuild, toolRunner } from '../../src/cli/build.ts';
import { createContext } from '../../src/cli/context.ts';
import { fetchMaterials, prepareSandbox } from '../../src/cli/materials.ts';
import type { RunTool } from '../../src/image/run-tool.ts';
import type { Lock } from '../../src/base/lock.ts';
import type { Sandbox } from '../../src/sandbox/root.ts';

/** With the tools of role `web`'s lock, the one that other system tests build with; those of another lock lie in another cache. */
export async function testSandbox(another?: { change: (lock: Lock) => Lock; cacheDir: string }): Promise<Sandbox> {
  const context = createContext(AbortSignal.timeout(10 * 60_000), 'log');
  const out = path.join(context.cacheDir, 'test', 'project', 'out', 'web.img');
  const options = { role: 'web', out, compress: 'none', jobs: 2, cache: true } as const;
  const prepared = await prepareBuild({ ...options, offline: false, locked: false, shellOnError: false }, context);
  const { lock, role, request, store } = prepared;
  const tools = { ...lock, basePackages: [], rolePackages: [] };
  await fetchMaterials(store, tools, { ...request, role: { ...role, artifacts: [] } }, context.progress);
  const [changed, cacheDir] = another ? [another.change(lock), another.cacheDir] : [lock, context.cacheDir];
  return prepareSandbox(changed, store, cacheDir, { jobs: 2, progress: context.progress });
}

export const imageTools = async (): Promise<RunTool> => toolRunner(await testSandbox());
