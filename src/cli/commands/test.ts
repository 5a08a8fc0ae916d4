// `piimg test`: boots images in QEMU, says whether they work, and writes down how it knows.
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Identity } from '../../boot/checks/identity.ts';
import { keepTimes, lastTimes } from '../../boot/history.ts';
import { loadMachine, qemuFor, type Machine } from '../../boot/machine.ts';
import type { BootReport } from '../../boot/report.ts';
import { excerptOf } from '../../boot/report/excerpt.ts';
import { htmlOf } from '../../boot/report/html.ts';
import { junitOf } from '../../boot/report/junit.ts';
import { timeRows } from '../../boot/report/times.ts';
import { EXIT } from '../../lib/errors.ts';
import { writeWhole } from '../../lib/write-whole.ts';
import { formatBootSummary } from '../../ui/boot-summary.ts';
import type { ProgressKind } from '../../ui/progress.ts';
import { styleFor } from '../../ui/style.ts';
import { readBootImage, type BootImage } from '../boot-image.ts';
import { testBoot, type BootTestOptions } from '../boot-test.ts';
import type { BuildOptions } from '../build-options.ts';
import { createContext, type Context } from '../context.ts';
import { inTurns } from '../in-turns.ts';
import { print, printJson } from './output.ts';

export interface TestFlags extends Partial<
  Pick<BuildOptions, 'role' | 'base' | 'out' | 'offline' | 'locked' | 'mirror'>
> {
  machine: string[];
  reboot?: boolean;
  /** Folder for the reports; beside the image by default. */
  reports?: string;
  jobs: number;
  json?: boolean;
  progress: ProgressKind;
}

export async function test(images: string[], flags: TestFlags, signal: AbortSignal): Promise<void> {
  const context = createContext(signal, flags.progress);
  const machines = await loadMachines(flags.machine, context);
  const files = [...images, ...(flags.role === undefined ? [] : [await built(flags.role, flags, context)])];
  const read = await Promise.all(files.map((file) => readBootImage(path.resolve(file))));
  const pairs = read.flatMap((image) => machines.map((machine) => ({ image, machine })));
  const met: Identity[] = [];
  const tests = await inTurns(pairs, flags.jobs, ({ image, machine }) =>
    testOne(image, { machine, reboot: flags.reboot ?? false, met }, flags, context),
  );
  if (flags.json) printJson({ passed: tests.every(({ report }) => report.verdict === 'passed'), tests });
  else print(tests.map(({ report, files: written }) => summaryOf(report, written)).join('\n\n'));
  if (tests.some(({ report }) => report.verdict === 'failed')) process.exitCode = EXIT.failed;
}

/** Before a build that takes minutes: the machines are there, and a QEMU that knows them. */
export async function loadMachines(names: string[], { search }: Context): Promise<Machine[]> {
  const machines = await Promise.all([...new Set(names)].map((name) => loadMachine(name, search.machineDirs)));
  for (const machine of machines) await qemuFor(machine);
  return machines;
}

/** The image of a role, built if needed. */
export async function built(
  role: string,
  { base, out, offline = false, locked = false, mirror }: Partial<BuildOptions>,
  context: Context,
): Promise<string> {
  const { availableParallelism } = await import('node:os');
  const { buildRole } = await import('../build.ts');
  const given = {
    ...(base !== undefined && { base }),
    ...(out !== undefined && { out }),
    ...(mirror !== undefined && { mirror }),
  };
  const settings = { compress: 'none', cache: true, shellOnError: false, jobs: availableParallelism() } as const;
  return (await buildRole({ role, offline, locked, ...given, ...settings }, context)).imagePath;
}

interface Tested {
  report: BootReport;
  files: { html: string; junit: string };
}

async function testOne(
  image: BootImage,
  options: Pick<BootTestOptions, 'machine' | 'reboot' | 'met'>,
  flags: TestFlags,
  context: Context,
): Promise<Tested> {
  const { progress, signal, cacheDir } = context;
  const { machine } = options;
  const title = `${path.basename(image.file)} on ${machine.name}`;
  const tested = await progress.step(title, (step) => testBoot(image, { ...options, step, signal }));
  const earlier = await lastTimes(cacheDir, tested);
  const report = { ...tested, ...(earlier && { earlier }) };
  await keepTimes(cacheDir, report);
  const name = `${path.basename(image.file).replace(/\.img$/, '')}.${machine.name}`;
  const folder = path.resolve(flags.reports ?? path.dirname(image.file));
  await mkdir(folder, { recursive: true });
  const files = { html: path.join(folder, `${name}.html`), junit: path.join(folder, `${name}.junit.xml`) };
  await writeWhole(files.html, htmlOf(report));
  await writeWhole(files.junit, junitOf(report));
  return { report, files };
}

function summaryOf(report: BootReport, { html, junit }: Tested['files']): string {
  const times = report.boots.map((boot, index) => timeRows(boot.times, index === 0 ? report.earlier : undefined));
  const shown = (file: string): string => path.relative(process.cwd(), file);
  const files: [string, string][] = [
    ['report', shown(html)],
    ['JUnit', shown(junit)],
  ];
  return formatBootSummary({ report, times, excerpt: excerptOf(report), files }, styleFor(process.stdout));
}
