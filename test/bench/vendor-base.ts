// Role web on a base that is an image of Raspberry Pi OS beside the default base, both bases in the cache, in turns.
import { copyFile, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../../src/host/exec.ts';
import { makeLookAlike } from '../fixtures/raspios/make.ts';
import { timePiimg } from './piimg.ts';
import { openProject, removeProject } from './project.ts';

const ROUNDS = 3;

export interface BaseTimes {
  /** Seconds of each round. */
  vendor: number[];
  default: number[];
}

/** Builds both bases first, by role `base`; what a round of role `web` puts into the cache is removed before the next one. */
export async function timeBases(signal: AbortSignal): Promise<BaseTimes> {
  const project = await openProject(signal);
  try {
    const image = await makeLookAlike('trixie-512', { size: 'bootable', folder: project.dir });
    const cache = await project.freshCache('cache');
    const bases = { vendor: ['--base', image], default: [] };
    const build = async (role: string, name: keyof BaseTimes): Promise<number> => {
      // A role of its own for each base: the lock lies beside it, and that of the other base would not fit.
      const files = path.join(project.dir, 'images/roles');
      await copyFile(path.join(files, `${role}.yaml`), path.join(files, `${role}-${name}.yaml`));
      return (await timePiimg(project, cache, ['--role', `${role}-${name}`, ...bases[name]])).seconds;
    };
    const times: BaseTimes = { vendor: [], default: [] };
    for (const name of ['vendor', 'default'] as const) await build('base', name);
    const before = await built(cache);
    // The first round writes the locks, which is not what is compared: it does not count.
    for (let round = 0; round <= ROUNDS; round++) {
      for (const name of ['vendor', 'default'] as const) {
        await run(['sync']);
        const seconds = await build('web', name);
        if (round > 0) times[name].push(seconds);
        const added = (await built(cache)).filter((folder) => !before.includes(folder));
        for (const folder of [...added, path.join(project.dir, 'out', `web-${name}.img`)])
          await rm(folder, { recursive: true });
      }
    }
    return times;
  } finally {
    await removeProject(project, undefined);
  }
}

/** What builds put into the cache: layers, and file systems that the next image begins with. */
async function built(cache: string): Promise<string[]> {
  const all = await Promise.all(
    ['layers', 'stages'].map(async (name) => {
      const folder = path.join(cache, name);
      return (await readdir(folder).catch(() => [])).map((entry) => path.join(folder, entry));
    }),
  );
  return all.flat();
}
