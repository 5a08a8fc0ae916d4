// Whether both sides of the comparison see what they compare: a small tree on disk, and one with something planted in it.
import { mkdir, mkdtemp } from 'node:fs/promises';
import path from 'node:path';
import { mergeLayers } from '../../src/image/merge.ts';
import { captureTree } from '../../src/layers/capture.ts';
import { openGuard } from '../../src/layers/guard.ts';
import type { Sandbox } from '../../src/sandbox/root.ts';
import { compareTrees } from './differences.ts';
import { treeOfLayers, treeOfTar, type Tree } from './tree.ts';

/** Reads the files below a folder as one side of the comparison does; `tar` may be written on the way. */
export type Reader = (tree: string, tar: string) => Promise<Tree>;

/** As piimg's side: a layer is captured, its index merged. */
export const layerReader =
  (sandbox: Sandbox): Reader =>
  async (tree, tar) => {
    const guard = openGuard(new Set(), true);
    const layer = await captureTree(tar, { sandbox, tree, epoch: 0, guard, signal: undefined });
    return treeOfLayers(mergeLayers([{ key: '', title: 'control', notes: [], ...layer }]), {
      passwd: ROOT,
      group: ROOT,
    });
  };

/** As mmdebstrap's side: an archive by tar with the options that mmdebstrap gives it. */
export const tarReader =
  (sandbox: Sandbox): Reader =>
  async (tree, tar) => {
    const options = ['--sort=name', '--numeric-owner', '--one-file-system', '--format=pax', '--xattrs'];
    const folders = [tree, path.dirname(tar)];
    await sandbox.tool(['tar', ...options, '-c', '-f', tar, '-C', tree, '.'], { writable: folders });
    return treeOfTar(tar);
  };

const ROOT = 'root:x:0:0:\n';

/** What a capability is stored as: cap_net_bind_service+ep, version 2 (linux/capability.h). */
const CAPABILITY = 'AQAAAgAEAAAAAAAAAAAAAAAAAAA=';

const MAKE = `
cd "$1"; mkdir -p plain/etc plain/usr/bin
printf 'root:x:0:0:\\n' >plain/etc/passwd; cp plain/etc/passwd plain/etc/group
for name in content mode xattrs; do echo "$name" >"plain/usr/bin/$name"; done; chmod -R u=rwX,go=rX plain
cp -a plain planted; cd planted/usr/bin
echo planted >added; echo other >content; chmod 4755 mode
python3.13 -c 'import base64, os; os.setxattr("xattrs", "security.capability", base64.b64decode("${CAPABILITY}"))'
`;

/**
 * Makes both trees below `dir` and reads each by both readers. Throws Error when one of them does not see a file, other content, a mode or
 * an attribute that was planted, or they do not read the same of the same tree.
 */
export async function checkReaders(sandbox: Sandbox, dir: string, [ours, theirs]: [Reader, Reader]): Promise<void> {
  await mkdir(dir, { recursive: true });
  const work = await mkdtemp(path.join(dir, 'control-'));
  await sandbox.tool(['sh', '-euc', MAKE, 'sh', work], { writable: [work] });
  const read = (reader: Reader, name: string) => reader(path.join(work, name), path.join(work, `${name}.tar`));
  const found = async (mine: string, other: string): Promise<string> =>
    compareTrees(await read(ours, mine), await read(theirs, other))
      .map(({ path: at, kind }) => `${kind} of /${at}`)
      .join(', ');
  const planted = (kind: string) =>
    `${kind} of /usr/bin/added, content of /usr/bin/content, mode of /usr/bin/mode, xattrs of /usr/bin/xattrs`;
  const expected = [
    ['plain', 'plain', ''],
    ['planted', 'planted', ''],
    ['planted', 'plain', planted('added')],
    ['plain', 'planted', planted('missing')],
  ] as const;
  for (const [mine, other, differences] of expected) {
    const seen = await found(mine, other);
    if (seen !== differences) throw new Error(`of a ${mine} and a ${other} tree on disk, the readers see “${seen}”`);
  }
  await sandbox.tool(['rm', '-rf', '--', work], { writable: [dir] });
}
