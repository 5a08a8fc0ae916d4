// A machine that has nothing: a fresh Debian 12 in a folder, with Node.js and npm as a CI service brings them, and this machine's
// network settings. Its processes see no other files, and end with the test.
import { existsSync } from 'node:fs';
import { copyFile, cp, mkdir, realpath, symlink } from 'node:fs/promises';
import path from 'node:path';
import { locateArchives } from '../../src/base/mirror.ts';
import { loadBase } from '../../src/base/definition.ts';
import { debootstrapMirror, hostArchives } from '../../src/host/apt.ts';
import { dieWithParent, run, type RunOptions, type RunResult } from '../../src/host/exec.ts';
import { packageRoot } from '../../src/host/package-root.ts';
import { findProgram } from '../../src/host/requirements.mjs';
import { requireTools } from '../../src/host/tools.ts';

const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

/** Fills the folder `root`, which must not lie on an overlay: builds stack layers in it. Needs root, and mmdebstrap. */
export async function makeFreshDebian(root: string): Promise<void> {
  await bootstrapDebian(root, 'bookworm', []);
  await copyFile('/etc/resolv.conf', path.join(root, 'etc/resolv.conf'));
  await addNode(path.join(root, 'usr/local'));
  if (!existsSync(CERTIFICATES)) return;
  await mkdir(path.join(root, path.dirname(CERTIFICATES)), { recursive: true });
  await copyFile(CERTIFICATES, path.join(root, CERTIFICATES));
}

/** The least Debian of a suite, with some packages, for this machine's processor. Needs root, and mmdebstrap. */
export async function bootstrapDebian(root: string, suite: string, packages: string[]): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('a machine of its own needs root: run this test with sudo');
  requireTools(['mmdebstrap']);
  const base = await loadBase('debian-trixie', [path.join(packageRoot, 'images/bases')]);
  if (base.kind !== 'packages') throw new Error('the default base is made of packages');
  const archives = [suite, `${suite}-security`].map((name) => ({
    name,
    suites: [name],
    components: ['main'],
  }));
  const settings = { mirror: process.env['PIIMG_MIRROR'], last: await debootstrapMirror() };
  const sources = locateArchives({ ...base, archives }, settings, await hostArchives()).map(
    ({ uri, suites, keyring }) => `deb [signed-by=${keyring}] ${uri} ${suites.join(' ')} main`,
  );
  // apt inside goes through the same proxies, and believes the same clock.
  const { stdout } = await run(['apt-config', 'dump', 'Acquire']);
  const own = stdout.split('\n').filter((line) => /^Acquire::(https?::.*Proxy|Check-)/i.test(line));
  await run(
    [
      'mmdebstrap',
      '--quiet',
      '--variant=minbase',
      ...own.map((line) => `--aptopt=${line}`),
      ...(packages.length > 0 ? [`--include=${packages.join(',')}`] : []),
      suite,
      root,
      ...sources,
    ],
    { signal: AbortSignal.timeout(10 * 60_000) },
  );
}

async function addNode(to: string): Promise<void> {
  await copyFile(process.execPath, path.join(to, 'bin/node'));
  const npm = path.join(await realpath(findProgram('npm') ?? ''), '../..');
  await cp(npm, path.join(to, 'lib/node_modules/npm'), { recursive: true });
  for (const name of ['npm', 'npx'])
    await symlink(`../lib/node_modules/npm/bin/${name}-cli.js`, path.join(to, 'bin', name));
}

/** Settings of this machine's network, without which nothing can be fetched. */
async function network(): Promise<Record<string, string>> {
  const set = Object.entries(process.env).filter(([name]) => /^((https?|no)_proxy|PIIMG_MIRROR)$/i.test(name));
  return {
    ...Object.fromEntries(set.map(([name, value = '']) => [name, value])),
    npm_config_registry: (await run(['npm', 'config', 'get', 'registry'])).stdout.trim(),
    ...(existsSync(CERTIFICATES) && { NODE_EXTRA_CA_CERTS: CERTIFICATES }),
  };
}

/** Another root for good: a user namespace cannot be made inside a chroot. */
const ENTER = `
root=$1 folder=$2; shift 2
mount --make-rprivate /; mount --bind "$root" "$root"
mount -t proc proc "$root/proc"; mount --rbind /sys "$root/sys"; mount --rbind /dev "$root/dev"; mount -t tmpfs tmpfs "$root/run"
cd "$root"; mkdir -p mnt/host; pivot_root . mnt/host; umount -l /mnt/host
cd "$folder"; exec env -i "$@"`;

/** Runs a script with sh -e in the folder `cwd` of the machine. Rejects with PiimgError as `run` does. */
export async function runInside(
  root: string,
  script: string,
  { cwd, env, ...options }: { cwd: string; env: Record<string, string> } & Pick<RunOptions, 'signal' | 'onLine'>,
): Promise<RunResult> {
  const settings = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ...(await network()),
    ...env,
  };
  const words = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const unshare = ['unshare', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-euc', ENTER, 'sh'];
  return run(dieWithParent([...unshare, root, cwd, ...words, 'sh', '-e', '-c', script]), options);
}
