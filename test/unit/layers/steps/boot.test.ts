// Which kernels need no depmod any more when the initramfs is made.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { LayerEntry } from '../../../../src/layers/layer.ts';
import { indexedKernels } from '../../../../src/layers/steps/boot.ts';

function layer(...paths: string[]): LayerEntry[] {
  return paths.map((path) => entry({ path }));
}

const entry = (facts: Partial<LayerEntry>): LayerEntry => {
  return { path: '', type: 'file', mode: 0o644, uid: 0, gid: 0, size: 0, ...facts };
};

const KERNEL = layer('usr/lib/modules/6.12/kernel/fs/ext4.ko.xz', 'usr/lib/modules/6.12/modules.order');
const INDEX = layer('usr/lib/modules/6.12/modules.dep', 'usr/lib/modules/6.12/modules.alias');

test('a kernel is indexed once modules.dep lies over its modules', () => {
  assert.equal(indexedKernels([KERNEL]), []);
  assert.equal(indexedKernels([KERNEL, INDEX]), ['6.12']);
  assert.equal(indexedKernels([KERNEL, INDEX, layer('usr/lib/modules/6.13/kernel/a.ko')]), ['6.12']);
});

test('what comes or goes later, in any folder, needs depmod again', () => {
  for (const path of ['usr/lib/modules/6.12/updates/mine.ko', 'etc/depmod.d/mine.conf', 'usr/lib/depmod.d/mine.conf']) {
    assert.equal(indexedKernels([KERNEL, INDEX, layer(path)]), [], path);
  }
  const gone = entry({ path: 'usr/lib/modules/6.12', type: 'whiteout' });
  assert.equal(indexedKernels([KERNEL, INDEX, [gone]]), []);
  for (const path of ['usr/lib/modules', 'usr/lib/modules/6.12/modules.dep']) {
    assert.equal(indexedKernels([KERNEL, INDEX, [entry({ path, type: 'whiteout' })]]), [], path);
  }
  const emptied = entry({ path: 'usr/lib/modules/6.12', type: 'directory', opaque: true });
  assert.equal(indexedKernels([KERNEL, INDEX, [emptied]]), []);
  assert.equal(indexedKernels([KERNEL, INDEX, layer('etc/depmod.d/mine.conf'), INDEX]), ['6.12']);
});

test('folders on the way and other files change nothing', () => {
  const folder = entry({ path: 'usr/lib/modules/6.12', type: 'directory' });
  assert.equal(
    indexedKernels([
      KERNEL,
      INDEX,
      [folder],
      layer('usr/lib/modules-load.d/x.conf', 'usr/lib/modules/6.12/.fresh-install'),
    ]),
    ['6.12'],
  );
});

test('modules in the layer of the index came when it was being made: they are not in it for sure', () => {
  assert.equal(indexedKernels([KERNEL, [...INDEX, ...layer('usr/lib/modules/6.12/updates/mine.ko')]]), []);
});

test.run();
