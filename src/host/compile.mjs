// Bundles piimg into dist, and the first-boot agent that every image gets. With its packages in it: Node.js takes a second to find and
// load 250 modules one by one, which is what a flash would be slower by.
import { chmodSync, cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { bundleAgent } from './bundle-agent.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const dist = path.join(root, 'dist');

rmSync(dist, { recursive: true, force: true });
const { metafile } = await build({
  absWorkingDir: root,
  // All that a program or a thread begins with. What commands share, or load when they are called, are chunks. package-root.ts counts
  // on two folders.
  entryPoints: {
    'cli/main': 'src/cli/main.ts',
    'cli/root-main': 'src/cli/flashing/root-main.ts',
    'threads/card-thread': 'src/flash/write/card-thread.ts',
    'threads/reader-thread': 'src/flash/write/reader-thread.ts',
    'probe/probe-thread': 'src/flash/probe/probe-thread.ts',
  },
  outdir: dist,
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  platform: 'node',
  target: 'node20.19',
  format: 'esm',
  charset: 'utf8',
  // For packages that are CommonJS.
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  metafile: true,
  logLevel: 'warning',
});
chmodSync(path.join(dist, 'cli/main.js'), 0o755);
writeFileSync(path.join(dist, 'LICENSES'), licenses(Object.keys(metafile.inputs)));

const agent = path.join(dist, 'firstboot');
cpSync(path.join(root, 'firstboot/rootfs'), path.join(agent, 'rootfs'), { recursive: true });
await bundleAgent(path.join(agent, 'rootfs/usr/lib/piimg/piimg-firstboot'));

/** What the packages among `inputs` are licensed under, as their licenses ask whoever hands them on to say. */
function licenses(inputs) {
  const folders = new Set(inputs.flatMap((input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? []));
  const texts = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(path.join(root, folder, 'package.json'), 'utf8'));
    const file = ['LICENSE', 'license', 'LICENSE.md', 'LICENSE.txt', 'LICENCE'].find((each) =>
      existsSync(path.join(root, folder, each)),
    );
    const text =
      file === undefined ? `License: ${license}` : readFileSync(path.join(root, folder, file), 'utf8').trim();
    return `${name} ${version}\n\n${text}\n`;
  });
  return texts.join(`\n${'-'.repeat(80)}\n\n`);
}
