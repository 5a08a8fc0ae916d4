// The record of a card whose image somebody else made: only where that leaves room for it, and only as long as it is that image.
import { readFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { newRecord, recordBeside, sayingOf, type NewRecord } from '../../../src/cli/flashing/record.ts';
import { CARD_RECORD, parseCardRecord } from '../../../src/flash/card-record.ts';
import { openFat } from '../../../src/image/fat.ts';
import { encodeMbr, parseMbr } from '../../../src/image/mbr.ts';
import { readerOf, type Positioned } from '../../../src/image/ranges.ts';
import { BOOT, foreignImage } from '../../helpers/foreign-image.ts';

const image = await readFile(await foreignImage('cloudinit-rpi'));

const handleOf = (bytes: Buffer): Positioned => ({
  async read(buffer, offset, length, position) {
    return { bytesRead: bytes.subarray(position, position + length).copy(buffer, offset) };
  },
});
const saying = (bytes: Buffer): ReturnType<typeof sayingOf> => sayingOf('the card', handleOf(bytes));

async function recordFor(
  bytes: Buffer,
  { start = BOOT.start, table = 'mbr' }: { start?: number; table?: 'mbr' | 'gpt' } = {},
): Promise<NewRecord | undefined> {
  const read = readerOf(handleOf(bytes));
  const partitions = [{ number: 1, start, sectors: 1, type: '0x0c', partuuid: '' }];
  const layout = { table, diskId: '', size: bytes.length, partitions };
  return recordBeside({ layout, fat: await openFat(read, BOOT.start * 512), read }, 'pi1');
}

/** A card of the image with that record, and changed. */
function cardWith(record: NewRecord | undefined, change: (card: Buffer) => unknown = () => {}): Buffer {
  assert.ok(record);
  const card = Buffer.from(image);
  Buffer.from(record.patch.content).copy(card, record.patch.offset);
  change(card);
  return card;
}

test('it has node and volume, and is found again on the card', async () => {
  const made = await recordFor(image);
  const card = cardWith(made);
  const { header, record, table } = await saying(card);
  assert.equal([header, record?.cardId, record?.node, record?.role], [false, made?.cardId, 'pi1', undefined]);
  assert.is(
    record?.volume,
    card
      .readUInt32LE(BOOT.start * 512 + 67)
      .toString(16)
      .padStart(8, '0'),
  );
  const other = Buffer.from(card);
  encodeMbr(2, parseMbr(card.subarray(0, 512)).entries).copy(other, 0, 0, 512);
  assert.is.not((await saying(other)).table, table, 'a first boot that gives the disk another id is seen');
});

test('no room: the first partition begins before its end, something lies there, or a GPT, of which none is read', async () => {
  assert.is(await recordFor(image, { start: 263 }), undefined);
  assert.ok(await recordFor(image, { start: 264 }), 'the control');
  assert.is(await recordFor(image, { table: 'gpt' }), undefined);
  for (const at of [0, CARD_RECORD.length - 1]) {
    const taken = Buffer.from(image);
    taken[CARD_RECORD.offset + at] = 1;
    assert.is(await recordFor(taken), undefined);
  }
});

test('an image that was taken from such a card has room: each card of it is another', async () => {
  const first = await recordFor(image);
  const again = await recordFor(cardWith(first));
  assert.ok(again);
  assert.is.not(again.cardId, first?.cardId);
});

test('not known: another FAT, a damaged record, the record of an image of ours, an end before it', async () => {
  const made = await recordFor(image);
  const recordOf = async (change: (card: Buffer) => unknown): Promise<unknown> =>
    (await saying(cardWith(made, change))).record;
  assert.ok(await recordOf(() => {}), 'the control');
  assert.is(await recordOf((card) => card.write('othr', BOOT.start * 512 + 67)), undefined);
  assert.is(await recordOf((card) => card.write('no table', 504)), undefined);
  assert.is(await recordOf((card) => card.writeUInt8(0xff, CARD_RECORD.offset + 70)), undefined);
  const ours = newRecord({ role: 'web', buildId: 'x' }, 'pi1');
  assert.is(parseCardRecord(Buffer.from(ours.patch.content))?.role, 'web');
  assert.is((await saying(cardWith(ours))).record, undefined);
  const short = await saying(image.subarray(0, 100));
  assert.equal([short.header, short.record], [false, undefined]);
});

test('one that was not finished says so, and whose it was to be', async () => {
  const card = cardWith(await recordFor(image), (bytes) => bytes.fill(0, 0, 4096));
  const said = await saying(card).then(() => 'nothing', String);
  assert.match(said, /the card was not finished when it was flashed \(pi1, begun at/);
});

test('a disk of several partitions: it is that of any FAT of them', async () => {
  const card = cardWith(await recordFor(image));
  const [boot, root] = parseMbr(card.subarray(0, 512)).entries;
  assert.ok(boot && root);
  const turned = [
    { ...root, number: 1 as const },
    { ...boot, number: 2 as const },
  ];
  encodeMbr(1, turned).copy(card, 0, 0, 512);
  assert.ok((await saying(card)).record);
});

test.run();
