// Makes layers for tests: a tree packed with GNU tar, and the index that goes with it.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { sha256 } from '../../src/lib/digest.ts';
import { asRoot } from './as-root.ts';
import { BLOCK, fineTime, isDevice, padding, parseHeader, parsePax, paxSize } from '../../src/lib/tar.ts';
import type { Layer, LayerEntry, LayerIndex } from '../../src/layers/layer.ts';

/** Packs `tree` into `dir/layer.tar`; whiteouts and opaque directories exist in the index only. */
export async function makeLayer(
  dir: string,
  tree: string,
  hides: { whiteouts?: string[]; opaque?: string[] } = {},
): Promise<Layer> {
  await mkdir(dir, { recursive: true });
  const tar = join(dir, 'layer.tar');
  const options = '--format=posix --sort=name --numeric-owner --mtime=@1700000000 --xattrs --xattrs-include=*';
  const pax = '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime';
  // As root, who can read every file; the archive is ours.
  const [program = '', ...command] = asRoot(['tar', ...options.split(' '), pax, '-C', tree, '-cf', '-', '.']);
  await execa(program, command, { stdout: { file: tar } });
  const index = indexTar(await readFile(tar), dir.split('/').at(-1) ?? '');
  for (const entry of index.entries) if (hides.opaque?.includes(entry.path)) entry.opaque = true;
  for (const path of hides.whiteouts ?? []) {
    index.entries.push({ path, type: 'whiteout', mode: 0, uid: 0, gid: 0, size: 0 });
  }
  await writeFile(join(dir, 'layer.json'), JSON.stringify(index));
  return { dir, index };
}

/** The index of a tar in memory. */
export function indexTar(tar: Buffer, title: string): LayerIndex {
  const entries: LayerEntry[] = [];
  let pax: Map<string, Buffer> | undefined;
  for (let at = 0, offset = 0; tar.readUInt8(at) !== 0;) {
    const block = tar.subarray(at, at + BLOCK);
    const size = paxSize(block);
    if (size !== undefined) {
      pax = parsePax(tar.subarray(at + BLOCK, at + BLOCK + size));
      at += BLOCK + size + padding(size);
      continue;
    }
    const whole = parseHeader(block, pax);
    const { mtime: _, nanoseconds: __, device: ___, type, ...header } = whole;
    if (isDevice(type)) throw new Error(`${header.path}: a ${type}`);
    const data = at + BLOCK;
    at = data + header.size + padding(header.size);
    const entry: LayerEntry = { ...header, type, offset, length: at - offset };
    const time = fineTime(whole);
    if (time) entry.time = time;
    if (type === 'file') entry.sha256 = sha256(tar.subarray(data, data + header.size));
    entries.push(entry);
    pax = undefined;
    offset = at;
  }
  const digest = sha256(tar);
  return { key: digest.slice(0, 16), title, digest, size: tar.length, entries, notes: [] };
}
