// One agent at a time.
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Paths } from './paths.ts';
import { Problem } from './problem.ts';

/** Another agent is at work: the result is its to write. */
export class Busy extends Problem {}

export type Release = () => Promise<void>;

/** Two agents at the same time would undo each other's work. Returns what ends it; the file goes with the power. Throws Busy. */
export async function takeLock({ lock }: Paths): Promise<Release> {
  await mkdir(path.dirname(lock), { recursive: true, mode: 0o700 });
  const take = (): Promise<void> => writeFile(lock, String(process.pid), { flag: 'wx' });
  await take().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
    // Empty: its owner is just about to write.
    const owner = await readFile(lock, 'utf8');
    if (existsSync(`/proc/${owner}`)) {
      throw new Busy(`Another agent is at work (process ${owner}).`, { hint: 'Wait for it: piimg-firstboot status' });
    }
    await rm(lock);
    await take();
  });
  return () => rm(lock, { force: true });
}
