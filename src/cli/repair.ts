// What a build does when its surroundings fail it: too little room is said before it starts, damaged cache entries are made anew.
import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { diskFull, isDiskFull, requireSpace, type SpaceNeed } from '../host/space.ts';
import { storedPath } from '../host/store.ts';
import { workFolder } from '../layers/cache.ts';
import type { Prepared } from './build.ts';
import type { Context } from './context.ts';
import { spaceNeeds } from './space-needs.ts';

/**
 * Runs `work`, which makes the layers of a build and perhaps its image. When it finds an entry of the cache damaged, drops that entry, says
 * so and runs it again, once for every entry. Throws PiimgError before `work` starts when there is too little room, and when the disk
 * became full on the way. All the while, a folder named after this process tells `cache prune` that somebody is at work.
 */
export async function withCare<T>(
  prepared: Prepared,
  context: Context,
  makes: { image: boolean },
  work: () => Promise<T>,
): Promise<T> {
  const needs = await spaceNeeds(prepared, context.cacheDir, makes);
  await requireSpace(needs);
  const sign = await workFolder(prepared.store.tmp);
  try {
    return await untilSound(prepared, context, needs, work);
  } finally {
    await rm(sign, { recursive: true, force: true });
  }
}

async function untilSound<T>(
  prepared: Prepared,
  context: Context,
  needs: SpaceNeed[],
  work: () => Promise<T>,
): Promise<T> {
  const dropped = new Set<string>();
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (isDiskFull(error)) throw await diskFull(needs, error);
      const entry = damagedEntry(error, prepared, context);
      if (entry === undefined || dropped.has(entry) || context.signal.aborted) throw error;
      dropped.add(entry);
      await context.progress.step('repair', async (step) => {
        step.note(`${error instanceof Error ? error.message : entry}; made anew`);
        await drop(entry, prepared.store.tmp);
      });
    }
  }
}

/** The layer (`cause.layer`, a key) or stored file (`cause.stored`, a digest) that an error says is damaged. */
function damagedEntry(error: unknown, { store }: Prepared, { cacheDir }: Context): string | undefined {
  const cause = error instanceof Error ? error.cause : undefined;
  if (typeof cause !== 'object' || cause === null) return undefined;
  if ('layer' in cause) return path.join(cacheDir, 'layers', String(cause.layer));
  if ('stored' in cause) return storedPath(store, String(cause.stored));
  return undefined;
}

/** A layer's files may belong to ids that only a sandbox has: it is moved to where the next build removes what is left over. */
async function drop(entry: string, tmp: string): Promise<void> {
  if (path.basename(path.dirname(entry)) !== 'layers') return rm(entry, { force: true });
  await rename(entry, path.join(await workFolder(tmp), 'damaged')).catch(() => {});
}
