// Folders for tests that make many: all of them go when the process does.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let all: string | undefined;

/** A new, empty folder. */
export function temporaryFolder(): string {
  all ??= removedAtExit(mkdtempSync(join(tmpdir(), 'piimg-tests-')));
  return mkdtempSync(join(all, '_'));
}

function removedAtExit(folder: string): string {
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
