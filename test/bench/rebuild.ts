// One overlay file changed, beside plain `mke2fs -d` of the same tree, in turns.
import { appendFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../../src/host/exec.ts';
import type { Sandbox } from '../../src/sandbox/root.ts';
import { timeMke2fs, unpackRoot } from './mke2fs.ts';
import type { PiimgRun } from './piimg.ts';
import type { Round } from './cold.ts';
import type { BenchProject } from './project.ts';
import { settle } from './settle.ts';

const ROUNDS = 5;

/** Both begin with nothing waiting to be written to the disk, so that neither pays for what came before it. */
export async function timeRebuilds(
  project: BenchProject,
  cache: string,
  sandbox: Sandbox,
  build: () => Promise<PiimgRun>,
): Promise<Round[]> {
  const tree = await unpackRoot(project, cache, sandbox);
  await settle();
  const overlayFile = path.join(project.dir, 'overlays/web/rootfs/etc/systemd/system/web.service.mustache');
  const rounds: Round[] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    await appendFile(overlayFile, `# changed ${round}\n`);
    await run(['sync']);
    const piimg = await build();
    await run(['sync']);
    const plain = await project.context.progress.step('mke2fs -d', () => timeMke2fs(tree, sandbox));
    rounds.push({ piimg, plain });
  }
  return rounds;
}
