// Compiles add-ons of an npm application for the image, with compilers that do not stay in it.
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from '../../host/exec.ts';
import type { LockedPackage } from '../../image/manifest.ts';
import { PiimgError } from '../../lib/errors.ts';
import { verifyInputs } from '../inputs.ts';
import { clock, rootOf, type StepContext } from './context.ts';
import type { App } from './npm.ts';

/** What node-gyp leaves beside the add-on: objects, makefiles and notes that name the machine's npm. */
const CLEAN = `find "$app/node_modules" -type d -path '*/build/Release' -prune -exec sh -euc '
for release; do
  rm -rf "$release/.deps" "$release/obj" "$release/obj.target"
  cd "\${release%/Release}"; rm -f Makefile config.gypi binding.Makefile *.mk
done' sh {} +`;

const SCRIPT = `
app=$1 owner=$2; shift 2
cd "$app"
node /run/npm/bin/npm-cli.js rebuild --offline --foreground-scripts "$@"
${CLEAN}
chown -h -R "$owner" "$app"
`;

/**
 * `npm rebuild` of the packages the role names, by the image's node and the host's npm, which is JavaScript. The packages of
 * `build` lie between the layers below and this one: only unpacked, and gone afterwards.
 */
export async function rebuildAddons(app: App, build: LockedPackage[], context: StepContext): Promise<void> {
  const { rebuild, destination, owner, group } = app;
  context.step.update({ message: `npm rebuild ${rebuild.join(' ')}` });
  const compilers = await unpackCompilers(build, context);
  const npm = await folderOfNpm(context);
  const root = rootOf(context, 'native');
  try {
    await context.sandbox.inRoot(
      { ...root, lowers: [...root.lowers, compilers], binds: [{ from: npm, to: '/run/npm' }] },
      {
        argv: ['sh', '-euc', SCRIPT, 'sh', destination, `${owner}:${group}`, ...rebuild],
        env: {
          ...clock(context),
          // What update-alternatives would call cc and c++.
          CC: 'gcc',
          CXX: 'g++',
          PYTHONDONTWRITEBYTECODE: '1',
          // Where libnode-dev puts the headers of this very node.
          npm_config_nodedir: '/usr',
          npm_config_cache: '/tmp/npm',
          npm_config_update_notifier: 'false',
        },
        signal: context.signal,
        onLine: (line) => context.step.update({ message: line }),
      },
    );
  } catch (error) {
    if (!(error instanceof PiimgError) || context.signal?.aborted) throw error;
    throw new PiimgError(`${destination}: the npm packages to rebuild (${rebuild.join(', ')}) cannot be compiled`, {
      ...(error.detail !== undefined && { detail: error.detail }),
      hint: 'Libraries an add-on is made from are to be named, with their -dev packages, under packages:.',
      cause: error,
    });
  }
}

/** The host's npm, as it tells scripts: where it installs for everybody need not be where it is itself. */
async function folderOfNpm(context: StepContext): Promise<string> {
  const asked = ['npm', 'exec', '--offline', '--call', 'echo "$npm_execpath"'];
  const { stdout } = await run(asked, { cwd: context.scratch, ...(context.signal && { signal: context.signal }) });
  return dirname(dirname(stdout.trim()));
}

/** The folder with their files. Links of merged /usr come first: a folder `lib` would hide the image's link. */
async function unpackCompilers(build: LockedPackage[], context: StepContext): Promise<string> {
  const folder = join(context.scratch, 'compilers');
  await mkdir(folder);
  const named = build.map(({ name, sha256 }) => ({ name: `The stored package ${name}`, sha256 }));
  await verifyInputs(named, context.file);
  const debs = build.map(({ sha256 }) => context.file(sha256));
  const script = [
    'cd "$1"; shift',
    'mkdir -p usr/bin usr/sbin usr/lib; for link in bin sbin lib; do ln -s "usr/$link" "$link"; done',
    'for deb; do dpkg-deb --extract "$deb" .; done',
  ].join('\n');
  await context.sandbox.tool(['sh', '-euc', script, 'sh', folder, ...debs], {
    readable: debs,
    writable: [folder],
    signal: context.signal,
  });
  return folder;
}
