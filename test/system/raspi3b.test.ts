// The image as the SD card of an emulated Raspberry Pi 3: its own device tree, SD controller, serial port and USB network card.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertBooted } from '../helpers/booted.ts';
import { builtWeb } from '../helpers/built.ts';
import { withQemu } from '../helpers/qemu.ts';

const { image, manifest } = await builtWeb();

test('a Raspberry Pi 3 boots from the card until cloud-init is done and serves its application', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-raspi3b-'));
  try {
    await withQemu({ machine: 'raspi3b', image, folder, forward: [3000], minutes: 15 }, async (guest) => {
      await assertBooted(guest);
      const console = await guest.console();
      assert.match(console, 'Machine model: Raspberry Pi 3 Model B');
      assert.match(console, `root=PARTUUID=${manifest.disk.partitions[1]?.partuuid}`);
      assert.match(console, /EXT4-fs \(mmcblk\dp2\): resized/);
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.run();
