// Where piimg itself is, compiled or not: its built-in images, overlays and machines lie beside its code.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The folder of package.json; whatever file this is in, in src or bundled in dist, is two folders below it. */
export const packageRoot = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** The version in package.json. */
export function piimgVersion(): string {
  const manifest = JSON.parse(readFileSync(`${packageRoot}/package.json`, 'utf8')) as { version: string };
  return manifest.version;
}
