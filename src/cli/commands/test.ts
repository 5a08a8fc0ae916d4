// `piimg test`: boots images in QEMU, says whether they work, and writes down how it knows.
import path from 'node:path';
import { questionOf } from '../../boot/checks/health.ts';
import type { Identity } from '../../boot/checks/identity.ts';
import { keepTimes, lastTimes } from '../../boot/history.ts';
import { loadMachine, qemuFor, type Machine } from '../../boot/machine.ts';
import type { BootReport } from '../../boot/report.ts';
import { excerptOf } from '../../boot/report/excerpt.ts';
import { headlineOf } from '../../boot/report/headline.ts';
import { timeRows } from '../../boot/report/times.ts';
import { withUnasked } from '../../boot/report/unasked.ts';
import { EXIT, PiimgError } from '../../lib/errors.ts';
import { formatBootSummary } from '../../ui/boot-summary.ts';
import type { ProgressKind } from '../../ui/progress.ts';
import { styleFor } from '../../ui/style.ts';
import { readBootImage, type BootImage } from '../boot-image.ts';
import { testBoot, type BootTestOptions } from '../boot-test.ts';
import type { BuildOptions } from '../build-options.ts';
import { createContext, type Context } from '../context.ts';
import { inTurns } from '../in-turns.ts';
import { prepareFolder, reportFiles, writeReports, type ReportFiles } from '../report-files.ts';
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
  if (flags.reboot) refuseSecondBoot(machines);
  if (flags.reports !== undefined) await prepareFolder(path.resolve(flags.reports));
  const given = [...images, ...(flags.role === undefined ? [] : [await built(flags.role, flags, context)])];
  const read = await Promise.all(
    [...new Set(given.map((file) => path.resolve(file)))].map((file) => readBootImage(file)),
  );
  const folderOf = ({ file }: BootImage): string => path.resolve(flags.reports ?? path.dirname(file));
  for (const image of read) await prepareFolder(folderOf(image));
  const taken = new Set<string>();
  const runs = read.flatMap((image) =>
    machines.map((machine) => ({
      image,
      machine,
      files: reportFiles(folderOf(image), image.file, machine.name, taken),
    })),
  );
  const met: Identity[] = [];
  const tests = await inTurns(runs, flags.jobs, ({ image, machine, files }) =>
    testOne(image, files, { machine, reboot: flags.reboot ?? false, met }, context),
  );
  if (flags.json) printJson({ passed: tests.every(({ report }) => report.verdict === 'passed'), tests });
  else print(tests.map(({ report, files: written }) => summaryOf(report, written)).join('\n\n'));
  if (tests.some(({ report }) => report.verdict === 'failed')) process.exitCode = EXIT.failed;
}

/** Before a build that takes minutes: the machines are there, and a QEMU that knows them. */
async function loadMachines(names: string[], { search }: Context): Promise<Machine[]> {
  const machines = await Promise.all([...new Set(names)].map((name) => loadMachine(name, search.machineDirs)));
  for (const machine of machines) await qemuFor(machine);
  return machines;
}

/** Throws PiimgError (usage) when one of the machines cannot be switched off, and on again. */
export function refuseSecondBoot(machines: Machine[]): void {
  const blind = machines.find(({ reaches }) => reaches === 'login');
  if (!blind) return;
  throw new PiimgError(`${blind.name} cannot be tested with a second boot: nobody can log in there to switch it off`, {
    exitCode: EXIT.usage,
    hint: 'Leave out --reboot, or take another machine, such as virt.',
  });
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
  files: ReportFiles;
}

async function testOne(
  image: BootImage,
  files: ReportFiles,
  options: Pick<BootTestOptions, 'machine' | 'reboot' | 'met'>,
  { progress, signal, cacheDir }: Context,
): Promise<Tested> {
  const { machine } = options;
  return progress.step(`${path.basename(image.file)} on ${machine.name}`, async (step) => {
    const booted = await testBoot(image, { ...options, step, signal });
    const tested = machine.reaches === 'login' ? withUnasked(booted, image.health.map(questionOf)) : booted;
    const earlier = await lastTimes(cacheDir, tested);
    const report = { ...tested, ...(earlier && { earlier }) };
    await writeReports(report, files);
    if (report.verdict === 'failed') step.failed(report.reason?.message ?? 'the test failed');
    const problem = await keepTimes(cacheDir, report);
    if (problem !== undefined) step.note(`boot times are not kept for the next test: ${problem}`);
    return { report, files };
  });
}

function summaryOf(report: BootReport, { html, junit }: ReportFiles): string {
  const times = report.boots.map((boot, index) => timeRows(boot.times, index === 0 ? report.earlier : undefined));
  const shown = (file: string): string => path.relative(process.cwd(), file);
  const files: [string, string][] = [
    ['report', shown(html)],
    ['JUnit', shown(junit)],
  ];
  return formatBootSummary(
    { headline: headlineOf(report), report, times, excerpt: excerptOf(report), files },
    styleFor(process.stdout),
  );
}
