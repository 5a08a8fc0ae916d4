// A root file system as a table: path → what a comparison looks at.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { MergedEntry } from '../../src/image/merge.ts';
import { readTar } from '../../src/layers/tar-reader.ts';
import { BLOCK, isDevice } from '../../src/lib/tar.ts';

export interface TreeEntry {
  /** Hard links count as files with the content of what they link to. */
  type: string;
  mode: number;
  /** By name where the tree's own passwd and group have one: numbers depend on the order of installation. */
  owner: string;
  sha256?: string;
  target?: string;
  xattrs?: Record<string, string>;
}
export type Tree = Map<string, TreeEntry>;

/** Names of ids, from the text of a passwd or group file. */
function namesOf(text: string): Map<number, string> {
  const lines = text.split('\n').map((line) => line.split(':'));
  return new Map(lines.map(([name = '', , id]) => [Number(id), name]));
}

function nameOwners(tree: Tree, passwd: string, group: string): Tree {
  const [users, groups] = [namesOf(passwd), namesOf(group)];
  for (const entry of tree.values()) {
    const [uid, gid] = entry.owner.split(':').map(Number);
    entry.owner = `${users.get(uid ?? 0) ?? uid}:${groups.get(gid ?? 0) ?? gid}`;
  }
  return tree;
}

/** The tree of merged layers. */
export function treeOfLayers(merged: MergedEntry[], ids: { passwd: string; group: string }): Tree {
  const tree: Tree = new Map();
  for (const { entry } of merged) {
    const linked = entry.type === 'hardlink' ? tree.get(entry.target ?? '') : undefined;
    const { type, mode, uid, gid, sha256, target, xattrs } = entry;
    const plain = {
      type,
      mode,
      owner: `${uid}:${gid}`,
      ...(sha256 !== undefined && { sha256 }),
      ...(target !== undefined && { target }),
      ...(xattrs && { xattrs }),
    };
    tree.set(entry.path, linked ? { ...linked } : plain);
  }
  return nameOwners(tree, ids.passwd, ids.group);
}

const IDS = ['etc/passwd', 'etc/group'];

/** The tree in a tar file. Devices are left out: piimg's images have none, the kernel makes them. */
export async function treeOfTar(file: string): Promise<Tree> {
  const tree: Tree = new Map();
  const texts = new Map<string, string>();
  const stream = createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>;
  await readTar(withPosixDevices(stream), async ({ path, type, mode, uid, gid, target, xattrs }, data) => {
    if (isDevice(type)) return;
    const linked = type === 'hardlink' ? tree.get(target ?? '') : undefined;
    if (linked) {
      tree.set(path, { ...linked });
      return;
    }
    const entry: TreeEntry = { type, mode, owner: `${uid}:${gid}` };
    if (target !== undefined) entry.target = target;
    if (xattrs) entry.xattrs = xattrs;
    if (type === 'file') {
      const hash = createHash('sha256');
      const pieces: Buffer[] = [];
      await data((chunk) => {
        hash.update(chunk);
        if (IDS.includes(path)) pieces.push(Buffer.from(chunk));
      });
      entry.sha256 = hash.digest('hex');
      if (pieces.length > 0) texts.set(path, Buffer.concat(pieces).toString());
    }
    tree.set(path, entry);
  });
  return nameOwners(tree, texts.get('etc/passwd') ?? '', texts.get('etc/group') ?? '');
}

/** mmdebstrap puts /dev in front, in GNU's dialect: entries of one block each, which say so at byte 257. */
async function* withPosixDevices(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let inFront = true;
  for await (const chunk of stream) {
    for (let at = 0; inFront && at + BLOCK <= chunk.length; at += BLOCK) {
      const block = chunk.subarray(at, at + BLOCK);
      inFront = block.toString('latin1', 257, 265) === 'ustar  \0';
      if (!inFront) break;
      block.write('ustar\u000000', 257, 'latin1');
      // The sum of all bytes, those of the sum itself read as spaces (ustar, POSIX.1).
      block.fill(' ', 148, 156);
      const sum = block.reduce((total, byte) => total + byte, 0);
      block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    }
    yield chunk;
  }
}
