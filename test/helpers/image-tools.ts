// Runs the image tools for tests: in a root of Debian trixie made once with mmdebstrap, in private mounts, as root.
import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { execa } from 'execa';
import { PiimgError } from '../../src/lib/errors.ts';
import type { RunTool } from '../../src/image/run-tool.ts';

const PACKAGES = 'e2fsprogs,libarchive13t64,dosfstools,mtools,fdisk,xz-utils,zstd';

const IN_ROOT = `
root=$1
shift
mount -t tmpfs tmpfs "$root/tmp"
while [ "$1" != -- ]; do
  mkdir -p "$root\${1%/*}"
  : >> "$root$1"
  mount --bind "$1" "$root$1"
  shift
done
shift
exec chroot "$root" "$@"
`;

/** The tools, made ready on first use. */
export async function imageTools(): Promise<RunTool> {
  const root = join(tmpdir(), 'piimg-test-image-tools');
  if (!existsSync(root)) {
    const made = `${root}.${process.pid}`;
    await execa('mmdebstrap', ['--mode=root', '--variant=essential', `--include=${PACKAGES}`, 'trixie', made]);
    await rename(made, root);
  }
  return async (tool, { input, script, writable }) => {
    const command = script === undefined ? tool : ['sh', '-eu', '-c', script, ...tool];
    const child = execa(
      'unshare',
      ['--mount', '--propagation', 'private', 'sh', '-euc', IN_ROOT, 'sh', root, ...writable, '--', ...command],
      {
        stdin: input === undefined ? 'ignore' : 'pipe',
        reject: false,
        timeout: 120_000,
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      },
    );
    const [result, fed] = await Promise.all([
      child,
      input === undefined || child.stdin === null
        ? undefined
        : pipeline(input, child.stdin).then(
            () => undefined,
            (error: unknown) => error,
          ),
    ]);
    if (result.failed)
      throw new PiimgError(`${tool[0]} failed: ${result.stderr || result.shortMessage}`, { cause: fed });
    if (fed instanceof PiimgError) throw fed;
    return result.stdout;
  };
}
