// Where the reports of boot tests go: a place that was tried before the boot, and a name of its own for each.
import { access, constants, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { htmlOf } from '../boot/report/html.ts';
import { junitOf } from '../boot/report/junit.ts';
import type { BootReport } from '../boot/report.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import { writeWhole } from '../lib/write-whole.ts';

export interface ReportFiles {
  html: string;
  junit: string;
}

/** Makes the folder. Throws PiimgError (usage) when it cannot be one, or not be written to: better before the boot than after. */
export async function prepareFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
  } catch (error) {
    throw new PiimgError(`Reports cannot be written to ${folder}: ${(error as Error).message}`, {
      exitCode: EXIT.usage,
      hint: 'Name another folder with --reports.',
      cause: error,
    });
  }
}

/** `DIR/web.virt.html`; `taken` holds the names given away before, so that two images of one name do not share a report. */
export function reportFiles(folder: string, image: string, machine: string, taken: Set<string>): ReportFiles {
  const stem = path.join(folder, path.basename(image).replace(/\.img$/, ''));
  let name = `${stem}.${machine}`;
  for (let number = 2; taken.has(name); number++) name = `${stem}-${number}.${machine}`;
  taken.add(name);
  return { html: `${name}.html`, junit: `${name}.junit.xml` };
}

export async function writeReports(report: BootReport, { html, junit }: ReportFiles): Promise<void> {
  await writeWhole(html, htmlOf(report));
  await writeWhole(junit, junitOf(report));
}
