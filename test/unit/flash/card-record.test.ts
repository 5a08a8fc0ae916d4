// The record on a card: what is written is read again, and no damage passes for a record.
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CARD_RECORD, encodeCardRecord, newCardId, parseCardRecord } from '../../../src/flash/card-record.ts';
import { HEADER_MAX } from '../../../src/image/header.ts';
import { HEADER_LBA } from '../../../src/image/layout.ts';
import { SECTOR } from '../../../src/image/mbr.ts';
import { sha256 } from '../../../src/lib/digest.ts';
import { PiimgError } from '../../../src/lib/errors.ts';

const CARD = {
  cardId: '0123456789abcdef',
  node: 'pi-web1',
  role: 'web',
  buildId: 'c0ffee11'.repeat(8),
  written: '2026-11-27T15:04:05.000Z',
};
const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'.split('')), minLength: length, maxLength: length });
const cards = fc.record(
  {
    cardId: hex(16),
    node: fc.string({ unit: 'binary', maxLength: 63 }),
    role: fc.string({ unit: 'grapheme', maxLength: 63 }),
    buildId: hex(64),
    written: fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) }).map((date) => date.toISOString()),
  },
  { noNullPrototype: true, requiredKeys: ['cardId', 'role', 'buildId', 'written'] },
);

test('any record is read as it was written, from one block', () => {
  fc.assert(
    fc.property(cards, (card) => {
      const bytes = encodeCardRecord(card);
      assert.is(bytes.length, CARD_RECORD.length);
      assert.equal(parseCardRecord(bytes), card);
      assert.equal(parseCardRecord(Buffer.concat([bytes, Buffer.alloc(100, 1)])), card, 'whatever follows');
    }),
  );
});

test('no flipped bit of it goes unseen', () => {
  const bytes = encodeCardRecord(CARD);
  const used = 64 + bytes.readUInt32LE(12);
  fc.assert(
    fc.property(fc.nat(used * 8 - 1), (bit) => {
      const at = Math.floor(bit / 8);
      // Zeros, which nothing reads.
      fc.pre(at < 48 || at >= 64);
      const broken = Buffer.from(bytes);
      broken[at] = (broken[at] ?? 0) ^ (1 << (bit % 8));
      if (at < 8) assert.is(parseCardRecord(broken), undefined);
      else assert.throws(() => parseCardRecord(broken), isSaid);
    }),
    { numRuns: 300 },
  );
  assert.equal(parseCardRecord(bytes), CARD, 'negative control');
});

const isSaid = (error: unknown): boolean => error instanceof PiimgError && /damaged|version/.test(error.message);

test('no record: zeros, nothing at all, an image header', () => {
  for (const bytes of [Buffer.alloc(4096), Buffer.alloc(0), Buffer.from('PIIMGHDR'), Buffer.from('PIIMG')])
    assert.is(parseCardRecord(bytes), undefined);
});

test('one that is cut off is damaged, wherever it ends', () => {
  const bytes = encodeCardRecord(CARD);
  for (const length of [8, 12, 15, 63, 64, 100])
    assert.throws(() => parseCardRecord(bytes.subarray(0, length)), /record is damaged/);
});

test('a newer version is told as such', () => {
  const bytes = encodeCardRecord(CARD);
  bytes.writeUInt32LE(2, 8);
  assert.throws(() => parseCardRecord(bytes), /is of version 2; this piimg knows version 1/);
});

test('a right checksum does not make a record of anything', () => {
  for (const text of ['null', '[]', '{}', 'nonsense', JSON.stringify({ ...CARD, cardId: '../../etc' })]) {
    const bytes = Buffer.alloc(4096);
    const payload = Buffer.from(text);
    encodeCardRecord(CARD).copy(bytes, 0, 0, 12);
    bytes.writeUInt32LE(payload.length, 12);
    Buffer.from(sha256(payload), 'hex').copy(bytes, 16);
    payload.copy(bytes, 64);
    assert.throws(() => parseCardRecord(bytes), /damaged: it is no record/);
  }
});

test('what does not fit, or is no record, is not written', () => {
  assert.throws(() => encodeCardRecord({ ...CARD, role: 'x'.repeat(4000) }), /longer than 4096 bytes/);
  assert.throws(() => encodeCardRecord({ ...CARD, cardId: 'short' }));
});

test('it lies behind the longest header, in whole blocks', () => {
  assert.ok(CARD_RECORD.offset >= HEADER_LBA * SECTOR + HEADER_MAX);
  assert.is(CARD_RECORD.offset % 4096, 0);
});

test('card ids are of 16 hex digits, each another', () => {
  const ids = Array.from({ length: 100 }, newCardId);
  assert.is(new Set(ids).size, 100);
  for (const id of ids) assert.match(id, /^[0-9a-f]{16}$/);
});

test.run();
