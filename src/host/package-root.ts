// Where piimg itself is, compiled or not: its built-in images, overlays and machines lie beside its code.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

/** The folder of package.json; this file is two folders below it in src as in dist. */
export const packageRoot = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** The version in package.json. */
export function piimgVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(`${packageRoot}/package.json`, 'utf8'));
  return z.object({ version: z.string() }).parse(manifest).version;
}
