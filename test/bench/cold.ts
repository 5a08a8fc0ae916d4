// A build that finds nothing but downloads, beside mmdebstrap, in turns.
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { mmdebstrap, type Bootstrap } from './mmdebstrap.ts';
import { timePiimg, type PiimgRun } from './piimg.ts';
import type { BenchProject } from './project.ts';
import { settle } from './settle.ts';

/** The first finds less of what it reads in memory. */
const ROUNDS = 3;

/** piimg and its peer at the same work. */
export interface Round {
  piimg: PiimgRun;
  /** Seconds of the peer. */
  plain: number;
}

/** Also gives the cache of the last build. */
export async function timeColds(project: BenchProject, peer: Bootstrap): Promise<{ cache: string; rounds: Round[] }> {
  const rounds: Round[] = [];
  let cache = '';
  for (let round = 1; round <= ROUNDS; round++) {
    cache = await project.freshCache(`cold-${round}`);
    await rm(path.join(project.dir, 'out'), { recursive: true, force: true });
    await settle();
    const piimg = await timePiimg(project, cache, ['--role', 'web', '--locked']);
    const plain = await timeMmdebstrap(project, 'native mmdebstrap', peer);
    rounds.push({ piimg, plain });
  }
  return { cache, rounds };
}

/** Seconds it takes. */
export async function timeMmdebstrap({ context }: BenchProject, title: string, peer: Bootstrap): Promise<number> {
  await settle();
  return (await context.progress.step(title, () => mmdebstrap(peer))).seconds;
}
