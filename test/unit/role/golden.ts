// Compares with files kept beside the fixtures, and writes them when asked to.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { loadBase } from '../../../src/base/definition.ts';

/** The repository, without a slash at the end. */
export const root = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');
export const fixtures = `${root}/test/fixtures/roles`;

/** The bases that ship, as `resolveRole` takes them. */
export const bases = { load: loadBase };
export const baseDirs = [`${root}/images/bases`];

/** Paths of this checkout made relative: goldens are the same everywhere. */
export function portable(text: string): string {
  return text.replaceAll(`${root}/`, '');
}

/** `PIIMG_RECORD=1` writes the golden, and fails all the same: it cannot be left on. */
export function golden(file: string, actual: string): void {
  if (process.env.PIIMG_RECORD === '1') {
    writeFileSync(file, actual);
    throw new Error(`recorded ${file}: read it, then run without PIIMG_RECORD`);
  }
  assert.fixture(actual, readFileSync(file, 'utf8'));
}
