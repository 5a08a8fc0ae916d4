// Runs the compiled piimg as a user would, and measures it from outside.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { run } from '../../src/host/exec.ts';
import { packageRoot } from '../../src/host/package-root.ts';
import type { BuildResult } from '../../src/cli/build-options.ts';
import type { BenchProject } from './project.ts';

export interface PiimgRun {
  seconds: number;
  /** Node's largest resident memory, in bytes. */
  peak: number;
  stages: BuildResult['stages'];
  reused: boolean;
  sha256: string;
}

/** VmHWM of Node itself: its children (mke2fs, dpkg) are other programs. */
const RECORD_PEAK = `import fs from 'node:fs';
process.on('exit', () => fs.writeFileSync(process.env.PIIMG_BENCH_STATUS, fs.readFileSync('/proc/self/status')));`;

/** `piimg build` with `args` in the project, on the cache in that folder. */
export async function timePiimg(project: BenchProject, cacheDir: string, args: string[]): Promise<PiimgRun> {
  const { dir, context } = project;
  const scratch = await mkdtemp(path.join(tmpdir(), 'piimg-bench-'));
  const status = path.join(scratch, 'status');
  try {
    return await context.progress.step(`piimg build ${args.join(' ')}`, async (step) => {
      const hook = `data:text/javascript,${encodeURIComponent(RECORD_PEAK)}`;
      const program = [process.execPath, '--import', hook, path.join(packageRoot, 'dist/cli/main.js')];
      const started = performance.now();
      const { stdout } = await run([...program, 'build', '--json', '--progress', 'log', ...args], {
        cwd: dir,
        env: { PIIMG_CACHE: cacheDir, PIIMG_BENCH_STATUS: status },
        onLine: (message, stream) => {
          if (stream === 'stderr') step.update({ message });
        },
      });
      const seconds = (performance.now() - started) / 1000;
      const { stages, reused, manifest } = JSON.parse(stdout) as BuildResult;
      const peak = Number(/^VmHWM:\s+(\d+) kB/m.exec(await readFile(status, 'utf8'))?.[1]) * 1024;
      return { seconds, peak, stages, reused, sha256: manifest.image.sha256 };
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
