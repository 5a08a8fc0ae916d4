// Unpacks packages: dpkg without its scripts' second half, at native speed.
import { join } from 'node:path';
import type { LockedPackage } from '../../image/manifest.ts';
import { PiimgError } from '../../lib/errors.ts';
import { copyUnchanged, verifyInputs } from '../inputs.ts';
import { clock, rootOf, type StepContext } from './context.ts';

/**
 * `dpkg --unpack` of every package in order. `bootstrap`: the root is empty, so base-files' folders and links are laid first.
 */
export async function unpackPackages(
  spec: { packages: LockedPackage[]; bootstrap: boolean },
  context: StepContext,
): Promise<string[]> {
  const stored = spec.packages.filter(({ local }) => !local);
  const named = stored.map(({ name, sha256 }) => ({ name: `The stored package ${name}`, sha256 }));
  await verifyInputs(named, context.file);
  const files = await Promise.all(spec.packages.map((locked) => placeOf(locked, context)));
  const binds = spec.packages.map(({ name }, i) => ({ from: files[i] ?? '', to: inside(i, name) }));
  if (spec.bootstrap) await layGround(spec.packages, context);
  let done = 0;
  let culprit: RegExpExecArray | undefined;
  const unpacked = context.sandbox.inRoot(
    { ...rootOf(context, spec.bootstrap ? 'first' : 'all'), binds },
    {
      argv: ['dpkg', ...OPTIONS, '--unpack', ...binds.map(({ to }) => to)],
      // dpkg starts rm, tar and dpkg-deb while it replaces them.
      env: { ...clock(context), PATH: `/usr/lib/piimg-native:${STANDARD_PATH}` },
      signal: context.signal,
      onLine: (line) => {
        const name = /^Unpacking (\S+)/.exec(line)?.[1];
        if (name) context.step.update({ message: name, done: ++done, total: binds.length, unit: 'packages' });
        culprit ??= SCRIPT_FAILED.exec(line) ?? undefined;
      },
    },
  );
  await unpacked.catch((error: unknown) => {
    if (!(error instanceof PiimgError) || culprit === undefined || context.signal?.aborted) throw error;
    const [, name, when, what] = culprit;
    const script = `${when}${what === 'removal' ? 'rm' : 'inst'}`;
    throw new PiimgError(`The package ${name} cannot be unpacked: its ${script} script failed`, {
      ...(error.detail !== undefined && { detail: error.detail }),
      cause: error,
    });
  });
  return [];
}

/** Where a package lies: in the store; one of the role's own as a copy, which nobody edits while dpkg reads it. */
async function placeOf(locked: LockedPackage, { file, scratch }: StepContext): Promise<string> {
  const place = file(locked.sha256);
  if (!locked.local) return place;
  const copy = join(scratch, `${locked.sha256}.deb`);
  await copyUnchanged(place, locked, copy);
  return copy;
}

/**
 * What a root needs before anything can be mounted in it: the folders of base-files with their modes, and the links of merged
 * /usr, which no package of Debian 13 makes in an empty root.
 */
async function layGround(packages: LockedPackage[], context: StepContext): Promise<void> {
  const baseFiles = packages.find(({ name }) => name === 'base-files');
  if (!baseFiles) throw new PiimgError('The base has no package base-files: it is no Debian system');
  const deb = context.file(baseFiles.sha256);
  const script = [
    'dpkg-deb --fsys-tarfile "$1" | tar -x -p -C "$2"; cd "$2"',
    // base-files of some versions brings them itself; through such a link, ln would make another one in the folder it leads to.
    'for link in bin sbin lib; do [ -L "$link" ] || ln -s "usr/$link" "$link"; done',
    'mkdir -p var/lib/dpkg/info var/lib/dpkg/updates var/lib/dpkg/triggers; : >var/lib/dpkg/status',
  ].join('\n');
  const { tree, signal } = context;
  await context.sandbox.tool(['sh', '-euc', script, 'sh', deb, tree], { readable: [deb], writable: [tree], signal });
}

/** force-depends: their order is configure's business. confold: what a base or role has put there is meant to be there. */
const OPTIONS =
  '--log=/dev/null --force-bad-path --force-depends --force-unsafe-io --force-confold --no-triggers'.split(' ');

/** What dpkg says of a preinst that failed, or of a replaced version's prerm or postrm; the name may carry an architecture. */
const SCRIPT_FAILED = /^ *(?:new|old|installed) (\S+?)(?::\w+)? package (pre|post)-(installation|removal) script/;

const STANDARD_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** dpkg names the file in its messages: the package's name, not a digest. */
function inside(i: number, name: string): string {
  return `/run/piimg-debs/${String(i).padStart(4, '0')}-${name}.deb`;
}
