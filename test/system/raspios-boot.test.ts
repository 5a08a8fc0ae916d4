// Look-alikes of Raspberry Pi OS as SD cards of an emulated Raspberry Pi 3, without a seed: their own first boot runs, and leaves what it should.
import { mkdtemp, open, rm } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { withBootPartition } from '../../src/cli/boot-partition.ts';
import { withImageView } from '../../src/cli/image-view.ts';
import { hex32 } from '../../src/image/ids.ts';
import { parseMbr, SECTOR } from '../../src/image/mbr.ts';
import { readerOf } from '../../src/image/ranges.ts';
import { readFacts } from '../../src/vendor/facts.ts';
import { readBootFile } from '../../src/boot/firmware/partition.ts';
import { ERAS, type EraName } from '../fixtures/raspios/eras.ts';
import { FACTS } from '../fixtures/raspios/facts.ts';
import { makeLookAlike } from '../fixtures/raspios/make.ts';
import { bootForeign } from '../helpers/foreign-boot.ts';

/** What the card says after the first boot. */
async function look(card: string): Promise<{ diskId: string; end: number; sectors: number; cmdline: string }> {
  const file = await open(card);
  try {
    const { size } = await file.stat();
    const { diskId, entries } = parseMbr(await readerOf(file)(0, SECTOR));
    const last = entries.at(-1);
    const cmdline = await withBootPartition(card, async (partition) => {
      const found = await partition.find('cmdline.txt');
      return found ? (await readBootFile(found)).toString().trim() : '';
    });
    return { diskId: hex32(diskId), end: (last?.start ?? 0) + (last?.sectors ?? 0), sectors: size / SECTOR, cmdline };
  } finally {
    await file.close();
  }
}

test('the bootable look-alike of trixie has every fact of its era', async () => {
  const folder = await mkdtemp('/var/tmp/piimg-raspios-');
  try {
    const image = await makeLookAlike('trixie-512', { size: 'bootable', folder });
    const found = await withImageView(image, (view) => readFacts(view));
    assert.equal(
      found.map(({ id, value }) => `${id}: ${value}`),
      FACTS.map((fact) => `${fact.id}: ${fact.value(ERAS['trixie-512'])}`),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

async function assertFirstBoot(era: EraName): Promise<string> {
  const folder = await mkdtemp('/var/tmp/piimg-raspios-');
  try {
    const image = await makeLookAlike(era, { size: 'bootable', folder });
    const { consoles, card } = await bootForeign({ machine: 'raspi3b', image, folder, minutes: 25 }, async () => {});
    const console = consoles.join('\n');
    assert.match(console, 'Machine model: Raspberry Pi 3 Model B');
    assert.not.match(console, /Kernel panic|emergency mode/);
    const { diskId, end, sectors, cmdline } = await look(card);
    assert.is.not(diskId, hex32(ERAS[era].diskId), 'the disk has an id of its own');
    assert.match(cmdline, `root=PARTUUID=${diskId}-02 `);
    assert.not.match(cmdline, /\b(resize|init=)/);
    assert.is(end, sectors, 'the root partition ends with the card');
    return console;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test('trixie: the initramfs grows the partition and changes the id, systemd grows the file system', async () => {
  assert.match(await assertFirstBoot('trixie-512'), /EXT4-fs \(mmcblk\dp2\): resized filesystem/);
});

test("bookworm's layout: firstboot is process 1, restarts, and the system comes up from what it left", async () => {
  await assertFirstBoot('bookworm');
});

test.run();
