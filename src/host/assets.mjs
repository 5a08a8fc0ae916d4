// After the compiler: copies what it leaves behind (.mjs, .json and .css) from src to dist, makes the program executable, and bundles
// the first-boot agent into the files that every image gets.
import { chmodSync, cpSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleAgent } from './bundle-agent.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Set-up and this file belong to the clone; the installed package has no use for them. */
const clone = ['setup.mjs', 'assets.mjs', 'bundle-agent.mjs'];

cpSync(path.join(root, 'src'), path.join(root, 'dist'), {
  recursive: true,
  filter: (source) =>
    statSync(source).isDirectory() || (/\.(mjs|json|css)$/.test(source) && !clone.includes(path.basename(source))),
});
chmodSync(path.join(root, 'dist/cli/main.js'), 0o755);

const agent = path.join(root, 'dist/firstboot');
rmSync(agent, { recursive: true, force: true });
cpSync(path.join(root, 'firstboot/rootfs'), path.join(agent, 'rootfs'), { recursive: true });
const bundle = path.join(agent, 'rootfs/usr/lib/piimg/piimg-firstboot');
await bundleAgent(bundle);
