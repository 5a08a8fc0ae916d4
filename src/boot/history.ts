// Boot times of tests that passed, kept in the cache so that the next one can say what has changed.
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { writeWhole } from '../lib/write-whole.ts';
import type { BootReport, EarlierTimes } from './report.ts';

/** Runs that are kept of a role on a machine. */
const KEPT = 50;

/** What times are comparable by: emulation and virtualisation of one machine differ by an order of magnitude. */
type Subject = {
  image: Pick<BootReport['image'], 'role'>;
  machine: Pick<BootReport['machine'], 'name' | 'accelerator'>;
};

/**
 * Keeps the times of the first boot of a passed test: one file a run, in a folder for role, machine and accelerator, written
 * beside and renamed. Tests that run at once never touch each other's; the oldest go. Returns what hindered it: no verdict depends on
 * the record.
 */
export async function keepTimes(cacheDir: string, report: BootReport): Promise<string | undefined> {
  const times = report.boots[0]?.times;
  if (report.verdict !== 'passed' || times === undefined) return undefined;
  const folder = folderOf(cacheDir, report);
  const run: EarlierTimes = { ...times, started: report.started, buildId: report.image.buildId };
  // Padded, so that names sort by time.
  const name = `${report.started.toFixed(3).padStart(15, '0')}-${process.pid}.json`;
  try {
    await mkdir(folder, { recursive: true });
    await writeWhole(path.join(folder, name), JSON.stringify(run));
    for (const old of (await runsIn(folder)).slice(KEPT)) await rm(path.join(folder, old), { force: true });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The times of the last passed test of this role on this machine; a file that cannot be read is passed over. */
export async function lastTimes(cacheDir: string, subject: Subject): Promise<EarlierTimes | undefined> {
  const folder = folderOf(cacheDir, subject);
  for (const name of await runsIn(folder)) {
    const found = await readFile(path.join(folder, name), 'utf8')
      .then((text) => JSON.parse(text) as EarlierTimes)
      .catch(() => undefined);
    if (typeof found?.started === 'number') return found;
  }
  return undefined;
}

/** A role's name may be anything where the image is not ours: it must not lead out of the cache. */
function folderOf(cacheDir: string, { image, machine }: Subject): string {
  return path.join(cacheDir, 'boot-times', encodeURIComponent(`${image.role} ${machine.name} ${machine.accelerator}`));
}

/** Newest first. */
async function runsIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names
    .filter((name) => name.endsWith('.json'))
    .sort()
    .toReversed();
}
