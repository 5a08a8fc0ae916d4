// After the compiler: copies what it leaves behind (.mjs, .json and .css) from src to dist and makes the program executable.
import { chmodSync, cpSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Set-up and this file belong to the clone; the installed package has no use for them. */
const clone = ['setup.mjs', 'assets.mjs'];

cpSync(path.join(root, 'src'), path.join(root, 'dist'), {
  recursive: true,
  filter: (source) =>
    statSync(source).isDirectory() || (/\.(mjs|json|css)$/.test(source) && !clone.includes(path.basename(source))),
});
chmodSync(path.join(root, 'dist/cli/main.js'), 0o755);
