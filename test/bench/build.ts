// `npm run bench:build`: how long a build takes beside the fastest way to the same thing, all in one run.
//   npm run bench:build -- [--with-emulated] [--json FILE]
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { prepareBuild } from '../../src/cli/build.ts';
import { HOST_ARCHITECTURE } from '../../src/sandbox/shadow.ts';
import { abortOnSignals } from '../../src/cli/signals.ts';
import { openSandbox, type Sandbox } from '../../src/sandbox/root.ts';
import { nativeToolsAt } from '../../src/sandbox/native-tools.ts';
import { fetchMaterials, toolsFolder } from '../../src/cli/materials.ts';
import { formatTable } from '../../src/ui/table.ts';
import { runMain } from './main.ts';
import { placing, requireMmdebstrap } from './mmdebstrap.ts';
import { hostPackages } from './host-packages.ts';
import { timePiimg, type PiimgRun } from './piimg.ts';
import { timeRebuilds } from './rebuild.ts';
import { timeColds, timeMmdebstrap, type Round } from './cold.ts';
import { BUILD_OPTIONS, openProject, removeProject } from './project.ts';

/** The padded image: shows that memory does not grow with size. */
const LARGE = '8G';

/** One line of the result; `limit` is what must never be passed, `goal` what we want. */
interface Figure {
  name: string;
  value: number;
  unit: '×' | 's' | 'MB';
  goal: string;
  ok: boolean;
  detail: string;
}

const OPTIONS = { ...BUILD_OPTIONS, role: 'web' };

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { 'with-emulated': { type: 'boolean' }, json: { type: 'string' } },
  });
  requireMmdebstrap();
  const project = await openProject(abortOnSignals());
  let sandbox: Sandbox | undefined;
  try {
    // Everything is downloaded, and the lock written, before anything is timed.
    const { context, dir } = project;
    const prepared = await prepareBuild(OPTIONS, context);
    const { lock, request, store, planned } = prepared;
    await fetchMaterials(store, lock, request, context.progress);
    const { packages: native, substituted } = await hostPackages(prepared, context);
    const options = placing(prepared.base.files);
    const peer = { store, dir, epoch: planned.plan.epoch, options };

    const { cache, rounds } = await timeColds(project, { ...peer, architecture: HOST_ARCHITECTURE, packages: native });
    const [cold, floor] = median(rounds);
    const tools = nativeToolsAt(toolsFolder(lock, cache));
    sandbox = openSandbox(tools, new Set());
    const piimg = (...more: string[]): Promise<PiimgRun> => timePiimg(project, cache, ['--role', 'web', ...more]);
    const nothing = await piimg();
    const rebuilds = await timeRebuilds(project, cache, sandbox, piimg);
    const [overlay, plain] = median(rebuilds);
    const large = await piimg('--size', LARGE, '--out', 'out/large.img');
    const packages = [...lock.basePackages, ...lock.rolePackages];
    const emulated = values['with-emulated']
      ? await timeMmdebstrap(project, 'emulated mmdebstrap', {
          ...peer,
          architecture: 'arm64',
          packages,
          emulated: tools,
        })
      : undefined;

    const runs = [...rounds, ...rebuilds].map(({ piimg: run }) => run).concat(nothing, large);
    const memory = Math.max(...runs.map(({ peak }) => peak)) / 1e6;
    const figures = [
      ratio('cold base + role web', cold.seconds, 'native mmdebstrap', floor, 1.5, 2),
      ratio('one overlay file changed', overlay.seconds, 'mke2fs -d', plain, 2, 2),
      most('nothing changed', nothing.seconds, 's', 1),
      most(`Node's peak memory (also for ${LARGE})`, memory, 'MB', 300),
      ...(emulated === undefined ? [] : [atLeast('emulated mmdebstrap', emulated, cold.seconds, 10)]),
    ];
    print(cold, figures, substituted);
    if (values.json !== undefined) {
      const result = {
        figures,
        stages: cold.stages,
        runs: { colds: rounds, nothing, rebuilds, large },
        floor,
        emulated,
        substituted,
      };
      await writeFile(values.json, `${JSON.stringify(result, null, 1)}\n`);
    }
    if (figures.some(({ ok }) => !ok)) process.exitCode = 1;
  } finally {
    await removeProject(project, sandbox);
  }
}

/** The round whose ratio is the middle one: a single round says more of the disk than of the programs. */
function median(rounds: Round[]): [PiimgRun, number] {
  const sorted = rounds.toSorted((a, b) => a.piimg.seconds / a.plain - b.piimg.seconds / b.plain);
  const middle = sorted[sorted.length >> 1];
  if (middle === undefined) throw new RangeError('no round was run');
  return [middle.piimg, middle.plain];
}

function ratio(name: string, ours: number, peerName: string, theirs: number, goal: number, limit: number): Figure {
  const value = ours / theirs;
  const detail = `${ours.toFixed(1)} s; ${peerName}: ${theirs.toFixed(1)} s`;
  const wanted = goal === limit ? `≤ ${goal} ×` : `≤ ${goal} ×, never over ${limit} ×`;
  return { name, value, unit: '×', goal: wanted, ok: value <= limit, detail };
}

function most(name: string, value: number, unit: Figure['unit'], limit: number): Figure {
  return { name, value, unit, goal: `≤ ${limit} ${unit}`, ok: value <= limit, detail: '' };
}

function atLeast(peerName: string, theirs: number, ours: number, least: number): Figure {
  const value = theirs / ours;
  const detail = `${peerName}: ${theirs.toFixed(0)} s`;
  return { name: 'faster than emulation', value, unit: '×', goal: `≥ ${least} ×`, ok: value >= least, detail };
}

function print(cold: PiimgRun, figures: Figure[], substituted: string[]): void {
  console.log('\nCold build, by stage (an archive is written while the next layer is made, so stages overlap):');
  console.log(
    formatTable(
      cold.stages.map(({ title, seconds }) => [`  ${title}`, seconds.toFixed(1), 's']),
      [1],
    ),
  );
  console.log();
  const rows = figures.map(({ name, value, unit, goal, ok, detail }) => [
    name,
    value.toFixed(value < 10 ? 2 : 0),
    unit,
    goal,
    ok ? 'ok' : 'MISSED',
    detail,
  ]);
  console.log(formatTable(rows, [1]));
  console.log(`\nThe native peer installs ${substituted.join(', ')}.`);
}

await runMain(main);
