// The peer: Debian's mmdebstrap on exactly the packages of a lock, from files on this disk.
import { link, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BaseDefinition } from '../../src/base/definition.ts';
import { run } from '../../src/host/exec.ts';
import { storedPath, type Store } from '../../src/host/store.ts';
import { requireTools } from '../../src/host/tools.ts';
import type { LockedPackage } from '../../src/image/manifest.ts';
import { sha256 } from '../../src/lib/digest.ts';
import { EXIT, PiimgError } from '../../src/lib/errors.ts';
import { inNamespace, sh } from '../../src/sandbox/namespace.ts';
import { emulation, type NativeTools } from '../../src/sandbox/root.ts';

export interface Bootstrap {
  architecture: string;
  packages: LockedPackage[];
  store: Store;
  /** A folder that is there, on a disk; the archive and the result lie in it. */
  dir: string;
  /** SOURCE_DATE_EPOCH, in seconds. */
  epoch: number;
  /** Further options, hooks for example. */
  options?: string[];
  /** Runs it by emulation, with this qemu-user registered in a namespace of its own. */
  emulated?: NativeTools;
  onLine?: (line: string) => void;
}

const MERGED_USR = 'for name in bin sbin lib; do mkdir -p "$1/usr/$name"; ln -s "usr/$name" "$1/$name"; done';

/** Says what to install when mmdebstrap is missing (exit code 4). */
export function requireMmdebstrap(): void {
  try {
    requireTools(['mmdebstrap']);
  } catch (cause) {
    throw new PiimgError('mmdebstrap was not found, which is what piimg is compared with', {
      exitCode: EXIT.missingTool,
      hint: 'sudo apt-get install mmdebstrap',
      cause,
    });
  }
}

/** Bootstraps into `<dir>/<architecture>.tar`; the seconds do not count making the archive it reads. */
export async function mmdebstrap(bootstrap: Bootstrap): Promise<{ tar: string; seconds: number }> {
  const { architecture, packages, dir, epoch, options = [], emulated, onLine } = bootstrap;
  requireMmdebstrap();
  const source = await makeArchive(bootstrap);
  const tar = join(dir, `${architecture}.tar`);
  const temporary = join(dir, 'tmp');
  await mkdir(temporary, { recursive: true });
  const argv = [
    'mmdebstrap',
    `--architectures=${architecture}`,
    '--variant=essential',
    '--format=tar',
    `--include=${packages.map(({ name }) => name.replace(/:.*/, '')).join(',')}`,
    // The links of merged /usr, which no package makes in an empty root.
    `--setup-hook=${MERGED_USR}`,
    '--aptopt=APT::Install-Recommends "false"',
    '--aptopt=APT::Sandbox::User "root"',
    ...options,
    'trixie',
    tar,
    source,
  ];
  const env = { SOURCE_DATE_EPOCH: String(epoch), TMPDIR: temporary, LC_ALL: 'C.UTF-8' };
  const words = emulated ? inNamespace(emulatedScript(argv, emulated), { network: false }) : argv;
  const started = performance.now();
  await run(words, { env, ...(onLine && { onLine }) });
  return { tar, seconds: (performance.now() - started) / 1000 };
}

/** The namespace brings the handler; mmdebstrap looks for one in the host's table, and cannot mount sysfs there. */
function emulatedScript(argv: string[], tools: NativeTools): string {
  const [program = '', ...rest] = argv;
  const words = [program, '--mode=root', '--skip=check/qemu', '--skip=chroot/mount/sys', ...rest];
  return [
    `scratch=${sh(tools.mount)}; mount -t tmpfs tmpfs "$scratch"`,
    ...emulation(tools),
    `exec ${words.map(sh).join(' ')}`,
  ].join('\n');
}

/** Options that put a base's files where its packages find them when they are configured, as piimg does. */
export function placing(files: BaseDefinition['files']): string[] {
  return files.map(({ path: to, content, mode }) => {
    const name = JSON.stringify(`/${to}`);
    return `--essential-hook=mkdir -p "$(dirname "$1"${name})"; printf %s ${sh(content)} >"$1"${name}; chmod ${mode} "$1"${name}`;
  });
}

/** A flat archive of hard links; gives its line for sources.list. mmdebstrap asks for essential packages by the suite's name. */
async function makeArchive({ dir, packages, store, architecture, epoch }: Bootstrap): Promise<string> {
  const archive = join(dir, `archive-${architecture}`);
  await mkdir(archive, { recursive: true });
  const stanzas: string[] = [];
  for (const { name, sha256: digest, size } of packages) {
    const file = join(archive, `${name.replace(/:.*/, '')}.deb`);
    await link(storedPath(store, digest), file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    const { stdout } = await run(['dpkg-deb', '--field', file]);
    stanzas.push(`${stdout.trim()}\nFilename: ./${name.replace(/:.*/, '')}.deb\nSize: ${size}\nSHA256: ${digest}\n`);
  }
  const index = stanzas.join('\n');
  const date = new Date(epoch * 1000).toUTCString();
  await writeFile(join(archive, 'Packages'), index);
  await writeFile(
    join(archive, 'Release'),
    `Suite: trixie\nCodename: trixie\nDate: ${date}\nSHA256:\n ${sha256(index)} ${Buffer.byteLength(index)} Packages\n`,
  );
  return `deb [trusted=yes] copy:${archive} ./`;
}
