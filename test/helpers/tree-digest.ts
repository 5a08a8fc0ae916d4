// Whether two trees are the same, wherever they come from.
import { createHash } from 'node:crypto';
import type { TreeEntry } from '../../src/image/ext4-tree.ts';
import { canonicalJson } from '../../src/lib/digest.ts';

/**
 * A digest over names, types, owners, modes, links, devices, attributes and contents, in order. Times are left out: a build sets them.
 * Two file systems with the same tree have the same one, whatever they are made like.
 */
export async function digestOfTree(entries: AsyncIterable<TreeEntry>): Promise<string> {
  const hash = createHash('sha256');
  for await (const { header, content } of entries) {
    const { mtime: _, ...facts } = header;
    hash.update(`${canonicalJson(facts)}\n`);
    // Its length is among the facts: where one ends and the next begins is clear.
    for await (const piece of content()) hash.update(piece);
  }
  return hash.digest('hex');
}
