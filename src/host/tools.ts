// Turns "this program is not here" into the Debian package to install.
import path from 'node:path';
import { EXIT, PiimgError } from '../lib/errors.ts';
import { findProgram, tools, toolsFor, type Purpose } from './requirements.mjs';

/** The error for a program that is not installed: names it, what it is for and its package when the table knows it. */
export function missingTool(program: string): PiimgError {
  const row = tools.find(({ name }) => name === program || path.basename(name) === path.basename(program));
  const reason = row === undefined ? '' : `, which is needed to ${row.reason}`;
  const remedy = row?.package ? `sudo apt-get install ${row.package}   (or: piimg doctor --fix)` : row?.hint;
  return new PiimgError(`${program} was not found${reason}`, {
    exitCode: EXIT.missingTool,
    hint: remedy ?? `Install ${program} and make sure it is in PATH.`,
  });
}

/** Checks that programs are there before work begins. Throws the error of the first one that is not. */
export function requireTools(programs: string[]): void {
  const absent = programs.find((program) => findProgram(program) === undefined);
  if (absent !== undefined) throw missingTool(absent);
}

/** Checks that everything outside that building needs is there. */
export const requireBuildTools = (): void => requireFor('build');

/** Checks that everything outside that booting an image needs is there. */
export const requireBootTools = (): void => requireFor('boot');

function requireFor(purpose: Purpose): void {
  requireTools(toolsFor([purpose]).map(({ name }) => name));
}
