// Makes one file of the first-boot agent and all it uses, readable by whoever looks at it on a machine.
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** Writes the agent's program to `outfile`; the same sources give the same bytes wherever they lie. */
export async function bundleAgent(outfile) {
  await build({
    absWorkingDir: fileURLToPath(new URL('../..', import.meta.url)),
    entryPoints: ['firstboot/main.ts'],
    outfile,
    bundle: true,
    platform: 'node',
    // Debian 12's; CommonJS, as the file's name has no extension.
    target: 'node18',
    format: 'cjs',
    charset: 'utf8',
    banner: { js: '#!/usr/bin/node' },
    logLevel: 'warning',
  });
}
