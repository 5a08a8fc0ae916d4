// A boot partition that is damaged is refused; one that reads differently from what was written is told.
import { readFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { changesFor, type Planned } from '../../../src/cli/boot-changes.ts';
import { writeStages } from '../../../src/cli/boot-write.ts';
import { findInFat } from '../../../src/image/fat.ts';
import type { ReadAt } from '../../../src/image/ranges.ts';
import type { Edit } from '../../../src/seed/formats/edits.ts';
import { apply, refused, writeEdits } from '../../helpers/boot-edits.ts';
import { checkFat, fatImage, freeInSecondTable, START, withFat } from '../../helpers/fat-image.ts';

const edits: Edit[] = ['user-data', 'meta-data', 'cmdline.txt'].map((path) => ({
  path,
  content: Buffer.from(`${path}\n`.repeat(80)),
}));

test('what fsck.vfat finds damaged is refused, also where mtools would not notice, or stop', async () => {
  const damages: Record<string, (file: string) => Promise<void>> = {
    'a file that goes is free in the second table': (file) => freeInSecondTable(file, 'cmdline.txt'),
    'so is one that stays': (file) => freeInSecondTable(file, 'overlays/vc4.dtbo'),
    // Of a slot the size ("FAT: General Overview", version 1.03).
    'a file that goes has fewer clusters than its size takes': async (file) => {
      const slot = await withFat(file, async (volume) => (await findInFat(volume, 'cmdline.txt'))?.slot ?? 0);
      await apply(file, [{ offset: slot + 28, content: Buffer.from([0, 0, 1, 0]) }]);
    },
    'it was not unmounted': (file) => applyToBoot(file, (boot) => (boot.readUInt16LE(22) === 0 ? 65 : 37), 1),
  };
  for (const fat of [12, 16, 32]) {
    for (const [damage, make] of Object.entries(damages)) {
      const { file } = await fatImage({ fat, fill: 0 });
      await make(file);
      const before = await readFile(file);
      assert.is((await checkFat(file)).exitCode, 1, `${fat} bits, ${damage}: fsck.vfat does not mind`);
      await refused(writeEdits(file, START, edits), /is damaged, or was not unmounted/);
      assert.ok((await readFile(file)).equals(before));
    }
  }
});

/** Sets a byte of the boot sector. */
async function applyToBoot(file: string, place: (boot: Buffer) => number, value: number): Promise<void> {
  const boot = (await readFile(file)).subarray(START, START + 512);
  await apply(file, [{ offset: START + place(boot), content: Buffer.from([value]) }]);
}

test('what is on the card is read back: a write that was left out is found, and a table that became another where nothing was written', async () => {
  const [late, other] = [await fatImage({ fill: 0 }), await fatImage({ fill: 0 })];
  const prepare =
    (file: string, spoil: (planned: Planned) => Promise<Planned>) =>
    async (read: ReadAt): Promise<Planned> =>
      spoil(await changesFor(read, { offset: START, what: file }, edits));
  const write = (file: string, spoil: (planned: Planned) => Promise<Planned>): Promise<unknown> =>
    writeStages(file, { offset: START, durable: true, prepare: prepare(file, spoil) });
  await assertRejects(
    write(late.file, async (planned) => ({ ...planned, stages: planned.stages.toSpliced(-2, 1) })),
    /card.img reads differently from what was written to it/,
  );
  await assertRejects(
    write(other.file, async (planned) => {
      const { tables } = await withFat(other.file, async (volume) => volume);
      const last = (tables.at(-1)?.offset ?? 0) + 4 * 60_000;
      assert.not.ok(
        planned.stages.flat().some(({ offset, content }) => offset + content.length > last && offset <= last),
      );
      await apply(other.file, [{ offset: last, content: Buffer.from([1]) }]);
      return planned;
    }),
    /card.img reads differently from what was written to it/,
  );
});

async function assertRejects(work: Promise<unknown>, pattern: RegExp): Promise<void> {
  const message = await work.then(
    () => '',
    (error: Error) => error.message,
  );
  assert.match(message, pattern);
}

test.run();
