// From some of the layers to all of them: what debugfs is told, and what is left to a file system made anew.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deltaOf } from '../../../src/image/delta.ts';
import { mergeLayers } from '../../../src/image/merge.ts';
import type { LayerEntry, LayerIndex } from '../../../src/layers/layer.ts';

const entry = (path: string, type: LayerEntry['type'], more: Partial<LayerEntry> = {}): LayerEntry => ({
  path,
  type,
  mode: type === 'directory' ? 0o755 : 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  ...more,
});
const layer = (...entries: LayerEntry[]): LayerIndex => ({
  key: 'k',
  title: 't',
  digest: 'd',
  size: 0,
  entries,
  notes: [],
});

const LOWER = layer(
  entry('', 'directory'),
  entry('etc', 'directory'),
  entry('etc/a', 'file'),
  entry('etc/old', 'directory'),
  entry('etc/old/b', 'file'),
  entry('etc/one', 'file'),
  entry('etc/two', 'hardlink', { target: 'etc/one' }),
);

function delta(...entries: LayerEntry[]) {
  const indexes = [LOWER, layer(entry('', 'directory'), entry('etc', 'directory'), ...entries)];
  return deltaOf(mergeLayers([LOWER]), mergeLayers(indexes));
}

test('folders that a layer passes through are no change', () => {
  assert.equal(delta(), { commands: [], files: [] });
});

test('removes from the bottom up, then adds from the top down', () => {
  const { commands = [], files = [] } =
    delta(
      entry('etc/a', 'file', { mode: 0o4750, uid: 70_000, gid: 7 }),
      entry('etc/old', 'whiteout'),
      entry('etc/the "new"', 'directory'),
      entry('etc/the "new"/link', 'symlink', { target: '../a b' }),
    ) ?? {};
  assert.equal(commands, [
    'cd "/etc/old"',
    'rm "b"',
    'cd "/etc"',
    'rmdir "old"',
    'rm "a"',
    'write 0 "a"',
    'sif "a" mode 0104750',
    'sif "a" uid 70000',
    'sif "a" gid 7',
    'mkdir "the ""new"""',
    'sif "the ""new""" mode 040755',
    'sif "the ""new""" uid 0',
    'sif "the ""new""" gid 0',
    'cd "/etc/the ""new"""',
    'symlink "link" "../a b"',
    'sif "link" mode 0120777',
    'sif "link" uid 0',
    'sif "link" gid 0',
  ]);
  assert.equal(
    files.map(({ entry: { path }, layer: number }) => [path, number]),
    [['etc/a', 1]],
  );
});

test('a folder that becomes a file, and one whose mode changes', () => {
  assert.equal(delta(entry('etc/old', 'file'))?.commands.slice(0, 5), [
    'cd "/etc/old"',
    'rm "b"',
    'cd "/etc"',
    'rmdir "old"',
    'write 0 "old"',
  ]);
  assert.equal(delta(entry('etc/old', 'directory', { mode: 0o700 }))?.commands, [
    'cd "/etc"',
    'sif "old" mode 040700',
    'sif "old" uid 0',
    'sif "old" gid 0',
  ]);
});

for (const [what, odd] of [
  ['the target of a hard link replaced', entry('etc/one', 'file')],
  ['a name of a file removed that has others', entry('etc/two', 'whiteout')],
  ['a new hard link', entry('etc/three', 'hardlink', { target: 'etc/x' })],
  ['an extended attribute', entry('etc/x', 'file', { xattrs: { 'security.capability': 'AQ==' } })],
  ['a line break in a name', entry('etc/x\ny', 'file')],
  ['a name that debugfs reads as the number of an inode', entry('etc/<12>', 'file')],
  ['what mke2fs makes by itself', entry('lost+found', 'directory')],
  ['more than memory should hold', entry('etc/x', 'file', { size: (256 << 20) + 1 })],
  ['a line break in a target', entry('etc/x', 'symlink', { target: 'a\nb' })],
] as const) {
  test(`is not for debugfs: ${what}`, () => {
    const extra = odd.type === 'hardlink' ? [entry('etc/x', 'file')] : [];
    assert.is(delta(...extra, odd), undefined);
  });
}

test('is not for debugfs: another root folder', () => {
  const upper = layer(entry('', 'directory', { mode: 0o700 }));
  assert.is(deltaOf(mergeLayers([LOWER]), mergeLayers([LOWER, upper])), undefined);
});

test.run();
