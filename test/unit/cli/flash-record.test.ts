// The record of a card whose image somebody else made: only where that leaves room for it, and only as long as it is that image.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { newRecord, recordBeside, recordOfForeign } from '../../../src/cli/flashing/record.ts';
import { CARD_RECORD, parseCardRecord } from '../../../src/flash/card-record.ts';
import { openFat } from '../../../src/image/fat.ts';
import { encodeMbr, parseMbr } from '../../../src/image/mbr.ts';
import { readerOf, type Positioned } from '../../../src/image/ranges.ts';
import { BOOT, foreignImage } from '../../helpers/foreign-image.ts';
import { readFile } from 'node:fs/promises';

const image = await readFile(await foreignImage('cloudinit-rpi'));

const handleOf = (bytes: Buffer): Positioned => ({
  async read(buffer, offset, length, position) {
    return { bytesRead: bytes.copy(buffer, offset, position, position + length) };
  },
});

async function recordFor(bytes: Buffer, start = BOOT.start): Promise<Awaited<ReturnType<typeof recordBeside>>> {
  const read = readerOf(handleOf(bytes));
  const fat = await openFat(read, BOOT.start * 512);
  return recordBeside({ partitions: [{ number: 1, start, sectors: 1, type: '0x0c', partuuid: '' }], fat, read }, 'pi1');
}

test('it has node and volume, and is found again on the card', async () => {
  const { cardId, patch } = (await recordFor(image)) ?? {};
  assert.ok(patch);
  const card = Buffer.from(image);
  patch.content.forEach((byte, at) => (card[patch.offset + at] = byte));
  const record = await recordOfForeign(handleOf(card));
  assert.equal([record?.cardId, record?.node, record?.role], [cardId, 'pi1', undefined]);
  assert.is(
    record?.volume,
    card
      .readUInt32LE(BOOT.start * 512 + 67)
      .toString(16)
      .padStart(8, '0'),
  );
});

test('no room: the first partition begins before its end, or something lies there', async () => {
  assert.is(await recordFor(image, 263), undefined);
  assert.ok(await recordFor(image, 264), 'the control');
  for (const at of [0, CARD_RECORD.length - 1]) {
    const taken = Buffer.from(image);
    taken[CARD_RECORD.offset + at] = 1;
    assert.is(await recordFor(taken), undefined);
  }
});

test('not known: another FAT, no partition table, a damaged record, the record of an image of ours, an end before it', async () => {
  const { patch } = (await recordFor(image)) ?? {};
  assert.ok(patch);
  const changed = async (change: (card: Buffer) => unknown): Promise<unknown> => {
    const card = Buffer.from(image);
    patch.content.forEach((byte, at) => (card[patch.offset + at] = byte));
    change(card);
    return recordOfForeign(handleOf(card));
  };
  assert.ok(await changed(() => {}), 'the control');
  assert.is(await changed((card) => card.write('othr', BOOT.start * 512 + 67)), undefined);
  assert.is(await changed((card) => card.fill(0, 0, 512)), undefined);
  assert.is(await changed((card) => card.writeUInt8(0xff, CARD_RECORD.offset + 70)), undefined);
  const ours = newRecord({ role: 'web', buildId: 'x' }, 'pi1').patch.content;
  assert.is(parseCardRecord(Buffer.from(ours))?.role, 'web');
  assert.is(await changed((card) => Buffer.from(ours).copy(card, CARD_RECORD.offset)), undefined);
  assert.is(await recordOfForeign(handleOf(image.subarray(0, 4096))), undefined);
});

test('a disk of several partitions: it is that of any FAT of them', async () => {
  const { patch } = (await recordFor(image)) ?? {};
  assert.ok(patch);
  const card = Buffer.from(image);
  patch.content.forEach((byte, at) => (card[patch.offset + at] = byte));
  const [boot, root] = parseMbr(card.subarray(0, 512)).entries;
  assert.ok(boot && root);
  const turned = [
    { ...root, number: 1 as const },
    { ...boot, number: 2 as const },
  ];
  encodeMbr(1, turned).copy(card, 0, 0, 512);
  assert.ok(await recordOfForeign(handleOf(card)));
});

test.run();
