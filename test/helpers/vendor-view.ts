// An ImageView of files in memory: what an image says, without an image.
import type { Files, ImageView, LinkedFiles } from '../../src/vendor/view.ts';
import type { Tree } from './vendor-image.ts';

/** A view of an image with the layout of Raspberry Pi OS and these files. Links lead nowhere, but are there. */
export function fakeView(boot: Tree, root: Tree, more: Partial<ImageView> = {}): ImageView {
  return {
    layout: {
      table: 'mbr',
      diskId: '1a2b3c4d',
      size: 2_759_852_032,
      partitions: [
        { number: 1, start: 16_384, sectors: 1_048_576, type: '0x0c', partuuid: '1a2b3c4d-01' },
        { number: 2, start: 1_064_960, sectors: 4_325_376, type: '0x83', partuuid: '1a2b3c4d-02' },
      ],
    },
    boot: {
      facts: {
        kind: 'fat',
        partition: 1,
        offset: 8_388_608,
        length: 536_870_912,
        label: 'bootfs',
        bits: 32,
        clusterBytes: 512,
      },
      files: filesOf(boot),
      why: 'it has config.txt',
    },
    root: {
      facts: {
        kind: 'ext4',
        partition: 2,
        offset: 545_259_520,
        length: 2_214_592_512,
        label: 'rootfs',
        uuid: '6c6b2d2b-0000-4000-8000-000000000000',
        blockBytes: 4096,
        features: ['extent', 'filetype'],
      },
      files: filesOf(root),
      why: 'cmdline.txt says root=PARTUUID=1a2b3c4d-02',
    },
    notes: [],
    ...more,
  };
}

function filesOf(tree: Tree): LinkedFiles {
  const read: Files['read'] = async (path) => {
    const content = tree[path];
    return content === undefined || (typeof content === 'object' && 'link' in content)
      ? undefined
      : Buffer.from(content);
  };
  return {
    read,
    async list(path) {
      const prefix = path === '' ? '' : `${path}/`;
      const below = Object.keys(tree).filter((name) => name.startsWith(prefix));
      return [...new Set(below.map((name) => name.slice(prefix.length).split('/')[0] ?? ''))].sort();
    },
    async link(path) {
      const content = tree[path];
      return typeof content === 'object' && 'link' in content ? content.link : undefined;
    },
  };
}
