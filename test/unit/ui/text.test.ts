// Tables, colours and the summary of a build.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ImageManifest } from '../../../src/image/manifest.ts';
import { styleFor, wantsColour } from '../../../src/ui/style.ts';
import { formatSummary } from '../../../src/ui/summary.ts';
import { formatTable } from '../../../src/ui/table.ts';

const plain = styleFor({}, {});

test('columns are aligned, colours not counted, numbers to the right', () => {
  const { red } = styleFor({ isTTY: true }, {});
  assert.is(
    formatTable(
      [
        [red('ab'), '1', 'x'],
        ['abc', '22', ''],
      ],
      [1],
    ),
    `${red('ab')}    1  x\nabc  22`,
  );
  assert.is(formatTable([]), '');
});

test('NO_COLOR wins over FORCE_COLOR, which wins over what the stream is', () => {
  const terminal = { isTTY: true };
  assert.is(wantsColour(terminal, {}), true);
  assert.is(wantsColour({}, {}), false);
  assert.is(wantsColour(terminal, { TERM: 'dumb' }), false);
  assert.is(wantsColour({}, { FORCE_COLOR: '1' }), true);
  assert.is(wantsColour(terminal, { FORCE_COLOR: '0' }), false);
  assert.is(wantsColour(terminal, { FORCE_COLOR: '1', NO_COLOR: '1' }), false);
  assert.is(plain.red('x'), 'x');
});

const manifest: ImageManifest = {
  version: 1,
  role: 'web',
  summary: 'A web server.',
  base: 'debian-trixie',
  buildId: 'b'.repeat(64),
  image: { file: 'web.img', size: 3_000_000_000, allocated: 742_000_000, sha256: 'a'.repeat(64), bmap: 'web.img.bmap' },
  boards: [
    { name: 'Pi 4', boots: true, note: '' },
    { name: 'Pi 5', boots: true, note: 'without Ethernet' },
    { name: 'Pi 2', boots: false, note: '32 bit' },
  ],
  disk: { id: '0x1', sectorSize: 512, partitions: [] },
  slots: [],
  packages: [],
  removed: [],
  layers: [],
  tools: {},
  notes: ['one package was emulated'],
};

test('the summary tells times, sizes, digest, boards, notes and what is next', () => {
  const stages = [
    { title: 'Base', seconds: 61.2 },
    { title: 'Image', seconds: 4, cached: 'same inputs' },
  ];
  const summary = { imagePath: 'out/web.img', manifestPath: 'out/web.manifest.json', manifest, reused: false, stages };
  const text = formatSummary(summary, ['piimg shell --role web'], plain);
  assert.is(
    text,
    `web: image built

  Base      1 min 01 s
  Image          4.0 s  reused: same inputs
  together  1 min 05 s

image     out/web.img
size      3.00 GB, 742 MB of it allocated
sha256    ${'a'.repeat(64)}
packages  0
manifest  out/web.manifest.json
boards    Pi 4: should boot
          Pi 5: should boot, without Ethernet
          Pi 2: does not boot, 32 bit

note  one package was emulated

Next:
  piimg shell --role web`,
  );
  assert.match(formatSummary({ ...summary, reused: true, stages: [] }, [], plain), /^web: nothing changed/);
});

test.run();
