// `npm run bench:boot`: from power-on to a healthy role `web`, beside the bare base from power-on to multi-user, in turns.
//   npm run bench:boot -- [--rounds N] [--machine NAME] [--json FILE]
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { buildRole } from '../../src/cli/build.ts';
import { abortOnSignals } from '../../src/cli/signals.ts';
import { EXIT, PiimgError } from '../../src/lib/errors.ts';
import { formatTable } from '../../src/ui/table.ts';
import { withQemu, type TestGuest } from '../helpers/qemu.ts';
import { runMain } from './main.ts';
import { BUILD_OPTIONS, openProject, removeProject, type BenchProject } from './project.ts';

/** What we want, of the medians. */
const GOAL = 1.3;
/** A boot that takes longer is broken. */
const MINUTES = 15;
/** Fewer boots have no p95 worth the name. */
const LEAST = 5;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      machine: { type: 'string', default: 'virt' },
      json: { type: 'string' },
    },
  });
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < LEAST) {
    throw new PiimgError(`--rounds ${values.rounds}: it takes a whole number, at least ${LEAST}`, {
      exitCode: EXIT.usage,
    });
  }
  const project = await openProject(abortOnSignals());
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-bench-'));
  const runs: { web: number; base: number }[] = [];
  try {
    const images = { web: await build(project, 'web'), base: await build(project, 'base') };
    const time = (role: 'web' | 'base', work: (guest: TestGuest) => Promise<unknown>): Promise<number> =>
      project.context.progress.step(`${role} on ${values.machine}`, () => {
        const boot = { machine: values.machine, image: images[role], folder: path.join(folder, role), forward: [3000] };
        return withQemu({ ...boot, minutes: MINUTES }, async (guest) => {
          await work(guest);
          return (Date.now() - guest.poweredOn) / 1000;
        });
      });
    for (let round = 0; round < rounds; round++) {
      runs.push({
        base: await time('base', (guest) => guest.said(/Reached target .*multi-user\.target/)),
        web: await time('web', healthy),
      });
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
    await removeProject(project, undefined);
  }
  const ratio = percentile(runs, 'web', 50) / percentile(runs, 'base', 50);
  const row = (name: string, of: 'web' | 'base') => [
    name,
    ...[50, 95].map((part) => `${percentile(runs, of, part).toFixed(1)} s`),
  ];
  console.log();
  console.log(
    formatTable(
      [
        [`${runs.length} boots each on ${values.machine}`, 'p50', 'p95'],
        row('base: power-on to multi-user', 'base'),
        row('web: power-on to healthy', 'web'),
        ['ratio of the medians', ratio.toFixed(2), `goal ≤ ${GOAL}: ${ratio <= GOAL ? 'ok' : 'MISSED'}`],
      ],
      [1, 2],
    ),
  );
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify({ ratio, runs }, null, 1)}\n`);
  if (ratio > GOAL) process.exitCode = 1;
}

async function build({ context, dir }: BenchProject, role: string): Promise<string> {
  return (await buildRole({ ...BUILD_OPTIONS, role, out: path.join(dir, 'out', `${role}.img`) }, context)).imagePath;
}

/** Until every page of the role's health list answers as it should: the services behind them must be up for that. */
async function healthy(guest: TestGuest): Promise<void> {
  await guest.until('GET /health', async () => {
    const answer = (page: string) =>
      fetch(`http://127.0.0.1:${guest.ports[3000]}${page}`, { signal: AbortSignal.timeout(20_000) });
    const [health, api] = [await answer('/health'), await answer('/api/health')];
    return health.ok && api.ok ? true : undefined;
  });
}

/** The smallest value that `part` per cent of the runs do not exceed. */
function percentile(runs: { web: number; base: number }[], of: 'web' | 'base', part: number): number {
  const sorted = runs.map((run) => run[of]).sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((part / 100) * sorted.length) - 1)] ?? NaN;
}

await runMain(main);
