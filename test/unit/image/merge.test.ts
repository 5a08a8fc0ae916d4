// Overlay rules on indexes, against a second implementation that works on flat maps.
import { array, assert as assertProperty, constantFrom, property, record } from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mergeLayers } from '../../../src/image/merge.ts';
import type { LayerEntry, LayerIndex } from '../../../src/layers/layer.ts';

function entry(path: string, type: LayerEntry['type'], more: Partial<LayerEntry> = {}): LayerEntry {
  return { path, type, mode: 0o755, uid: 0, gid: 0, size: 0, ...more };
}
function layer(...entries: LayerEntry[]): LayerIndex {
  return { key: 'k', title: 'test layer', digest: '', size: 0, entries, notes: [] };
}
function merged(...layers: LayerIndex[]): string[] {
  return mergeLayers(layers).map(({ layer, entry }) => {
    return `${layer} ${entry.type} ${entry.path}${entry.target === undefined ? '' : ` > ${entry.target}`}`;
  });
}
const dir = (path: string, more?: Partial<LayerEntry>) => entry(path, 'directory', more);
const file = (path: string) => entry(path, 'file', { size: 5, sha256: path });
const link = (path: string, target: string) => entry(path, 'hardlink', { target });

test('a later layer replaces a path, a directory keeps its children', () => {
  assert.equal(
    merged(layer(dir(''), dir('a'), file('a/x'), file('a/y')), layer(dir('a', { mode: 0o700 }), file('a/x'))),
    ['0 directory ', '1 directory a', '1 file a/x', '0 file a/y'],
  );
});

test('a whiteout removes a path and all below, and may name what is not there', () => {
  assert.equal(
    merged(
      layer(dir('a'), dir('a/b'), file('a/b/c')),
      layer(dir('a'), entry('a/b', 'whiteout'), entry('q/z', 'whiteout')),
    ),
    ['1 directory a'],
  );
});

test('an opaque directory hides lower children only', () => {
  assert.equal(merged(layer(dir('a'), file('a/old')), layer(dir('a', { opaque: true }), file('a/new'))), [
    '1 directory a',
    '1 file a/new',
  ]);
});

test('a link in place of a directory hides what was below, also for a later directory', () => {
  const lower = layer(dir('a'), file('a/x'));
  assert.equal(merged(lower, layer(entry('a', 'symlink', { target: 'b' }))), ['1 symlink a > b']);
  assert.equal(merged(lower, layer(entry('a', 'symlink', { target: 'b' })), layer(dir('a'))), ['2 directory a']);
});

test('a hard link whose target was replaced or removed takes over the data, others follow it', () => {
  const lower = layer(file('a'), link('b', 'a'), link('c', 'a'));
  for (const upper of [layer(file('a')), layer(entry('a', 'whiteout'))]) {
    const entries = mergeLayers([lower, upper]).filter(({ layer }) => layer === 0);
    assert.equal(
      entries.map(({ entry: { path, type, target } }) => [path, type, target]),
      [
        ['b', 'file', undefined],
        ['c', 'hardlink', 'b'],
      ],
    );
    assert.is(entries[0]?.source.path, 'a');
    assert.is(entries[0]?.entry.sha256, 'a');
  }
});

test('the first name in the order of the result has the data, whichever it was in the layer', () => {
  assert.equal(merged(layer(file('z'), link('a', 'z'))), ['0 file a', '0 hardlink z > a']);
});

test('a replaced link leaves the others alone', () => {
  assert.equal(merged(layer(file('a'), link('b', 'a')), layer(file('b'))), ['0 file a', '1 file b']);
});

test('indexes out of order are refused by name', () => {
  assert.throws(() => merged(layer(file('a/b'))), /test layer.*a\/b comes without its directory/);
  assert.throws(() => merged(layer(file('a'), file('a/b'))), /without its directory/);
  assert.throws(() => merged(layer(link('b', 'gone'))), /hard link b has no target/);
});

// --- the same rules, on flat maps of paths

const NAMES = ['a', 'b', 'a/a', 'a/b', 'b/a', 'a/a/a', 'a/b/b', 'b/a/b'];
const arbitraryLayer = array(
  record({ path: constantFrom(...NAMES), kind: constantFrom('directory', 'opaque', 'file', 'whiteout') }),
).map((picks) => {
  const chosen = new Map<string, LayerEntry>();
  for (const { path, kind } of picks) {
    if (kind === 'opaque') chosen.set(path, dir(path, { opaque: true }));
    else chosen.set(path, entry(path, kind));
  }
  // As overlayfs makes them: nothing below what is no directory, and every parent is there.
  for (const path of NAMES) {
    const parents = path
      .split('/')
      .map((_, i, all) => all.slice(0, i).join('/'))
      .slice(1);
    if (!chosen.has(path)) continue;
    if (parents.some((parent) => ['file', 'whiteout'].includes(chosen.get(parent)?.type ?? ''))) chosen.delete(path);
    else for (const parent of parents) if (!chosen.has(parent)) chosen.set(parent, dir(parent));
  }
  return layer(...[...chosen.values()].sort((a, b) => (a.path < b.path ? -1 : 1)));
});

function flatModel(layers: LayerIndex[]): Map<string, number> {
  const result = new Map<string, number>();
  for (const [number, { entries }] of layers.entries()) {
    const kept = [...result].filter(([path]) => {
      return !entries.some((upper) => {
        const below = path.startsWith(`${upper.path}/`);
        if (upper.type === 'whiteout') return below || path === upper.path;
        return below && (upper.type !== 'directory' || upper.opaque === true);
      });
    });
    result.clear();
    for (const [path, from] of kept) result.set(path, from);
    for (const upper of entries) if (upper.type !== 'whiteout') result.set(upper.path, number);
  }
  return result;
}

test('any layers give what the flat model gives, parents first', () => {
  assertProperty(
    property(array(arbitraryLayer, { maxLength: 4 }), (layers) => {
      const entries = mergeLayers(layers);
      const expected = flatModel(layers);
      assert.equal(new Map(entries.map(({ entry, layer }) => [entry.path, layer])), expected);
      const seen = new Set(['']);
      for (const { entry } of entries) {
        assert.ok(seen.has(entry.path.split('/').slice(0, -1).join('/')), entry.path);
        seen.add(entry.path);
      }
    }),
    { numRuns: 300, seed: 1 },
  );
});

test.run();
