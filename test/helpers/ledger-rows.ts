// Rows of a ledger, for tests.
import * as fc from 'fast-check';
import type { LedgerRow } from '../../src/flash/ledger.ts';

export const ROW: LedgerRow = {
  version: 1,
  time: '2026-11-27T15:04:05.000Z',
  node: 'pi-web1',
  role: 'web',
  buildId: 'c0ffee11'.repeat(8),
  image: { name: 'out/web.img', sha256: 'ab'.repeat(32), size: 1_660_944_384 },
  map: { imageSize: 1_660_944_384, ranges: [[0, 8_388_608]] },
  card: { id: '0123456789abcdef', device: '/dev/sdb', model: 'Generic STORAGE', serial: '1', capacity: 31_914_983_424 },
  written: 8_388_608,
  seconds: { write: 31.9, verify: 9.5 },
  writeRate: 26_300_000,
  readRate: 88_000_000,
  verdict: 'verified',
};

const text = fc.string({ unit: 'binary', maxLength: 40 });
const count = fc.maxSafeNat();
const number = fc.double({ min: 0, noNaN: true, noDefaultInfinity: true });
const hex = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'.split('')), minLength: 64, maxLength: 64 });

/** JSON has no negative zero. */
const seconds = number.map((value) => value + 0);

/** Any row; what may be absent is now and then. */
export const anyRow: fc.Arbitrary<LedgerRow> = fc.record(
  {
    version: fc.constant(1 as const),
    time: fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) }).map((date) => date.toISOString()),
    node: text,
    role: text,
    buildId: text,
    image: fc.record(
      { name: text, sha256: hex, size: count },
      { noNullPrototype: true, requiredKeys: ['name', 'size'] },
    ),
    map: fc.record(
      { imageSize: count, ranges: fc.array(fc.tuple(count, count), { maxLength: 5 }) },
      { noNullPrototype: true },
    ),
    card: fc.record(
      { id: text, device: text, model: text, serial: text, capacity: count, digest: text },
      { noNullPrototype: true, requiredKeys: ['device', 'model', 'capacity'] },
    ),
    written: count,
    seconds: fc.record({ write: seconds, verify: seconds }, { noNullPrototype: true, requiredKeys: ['write'] }),
    writeRate: seconds,
    readRate: seconds,
    verdict: fc.constantFrom('verified' as const, 'written' as const, 'failed' as const, 'stopped' as const),
    problem: text,
  },
  { noNullPrototype: true, requiredKeys: ['version', 'time', 'image', 'map', 'card', 'written', 'seconds', 'verdict'] },
);
