// The ledger: rows come back as they were added, in spite of cuts, other versions and others who add to it at the same time.
import { appendFile, mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { appendToLedger, findCard, readLedger, type Ledger } from '../../../src/flash/ledger.ts';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';
import { anyRow, ROW } from '../../helpers/ledger-rows.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const newFile = (): string => join(temporaryFolder(), 'out/ledger.jsonl');
const read = async (file: string): Promise<Ledger> => (await readLedger(file)) ?? { rows: [], unread: [] };

test('any rows are read as they were added, in their order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyRow, { maxLength: 4 }), async (rows) => {
      const file = newFile();
      for (const row of rows) await appendToLedger(file, row);
      assert.equal(await readLedger(file), rows.length === 0 ? undefined : { rows, unread: [] });
    }),
    { numRuns: 30 },
  );
});

test('wherever a power cut ends the file, only the last row is lost, and the next one is not', async () => {
  const file = newFile();
  for (const node of ['a', 'b']) await appendToLedger(file, { ...ROW, node });
  const whole = await readFile(file);
  const second = whole.indexOf('\n') + 1;
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: second + 1, max: whole.length }), async (length) => {
      await writeFile(file, whole);
      await truncate(file, length);
      await appendToLedger(file, { ...ROW, node: 'c' });
      const { rows, unread } = await read(file);
      // All but the line feed is there: then so is the row.
      const lost = length < whole.length - 1;
      assert.equal(
        rows.map(({ node }) => node),
        lost ? ['a', 'c'] : ['a', 'b', 'c'],
      );
      assert.equal(
        unread.map(({ line }) => line),
        lost ? [2] : [],
      );
    }),
    { numRuns: 40 },
  );
});

test('several who add at the same time lose nothing', async () => {
  const file = newFile();
  await mkdir(join(file, '..'));
  const ranges = Array.from({ length: 2000 }, (_, index): [number, number] => [index * 8192, 4096]);
  const nodes = Array.from({ length: 20 }, (_, index) => `pi-${index}`);
  await Promise.all(nodes.map((node) => appendToLedger(file, { ...ROW, node, map: { imageSize: 1, ranges } })));
  const { rows, unread } = await read(file);
  assert.equal(unread, []);
  assert.equal(rows.map(({ node }) => node).sort(), nodes.sort());
});

const unreadable: Record<string, [line: string, why: RegExp]> = {
  'a newer version': [JSON.stringify({ ...ROW, version: 2, extra: 1 }), /version 2, a newer piimg's/],
  'half a line': [JSON.stringify(ROW).slice(0, 100), /half written/],
  'a row without its time': [JSON.stringify({ ...ROW, time: undefined }), /no row of a ledger: time/],
  'a range that is none': [JSON.stringify({ ...ROW, map: { imageSize: 1, ranges: [[1]] } }), /map\.ranges\.0/],
  'a text': ['"hello"', /no row of a ledger$/],
  null: ['null', /no row of a ledger$/],
};
for (const [what, [line, why]] of Object.entries(unreadable)) {
  test(`told with its line, and the others are read: ${what}`, async () => {
    const file = newFile();
    await appendToLedger(file, ROW);
    await appendFile(file, `${line}\n`);
    await appendToLedger(file, ROW);
    const { rows, unread } = await read(file);
    assert.equal(rows, [ROW, ROW]);
    assert.is(unread.length, 1);
    assert.is(unread[0]?.line, 2);
    assert.match(unread[0]?.why ?? '', why);
  });
}

test('keys that a later piimg of this version adds are no damage', async () => {
  const file = newFile();
  await appendToLedger(file, ROW);
  await appendFile(file, `${JSON.stringify({ ...ROW, later: true })}\r\n\n`);
  assert.equal(await read(file), { rows: [ROW, ROW], unread: [] });
});

test('a card is found by its id, as it was written last', () => {
  const row = (id: string | undefined, node: string) => ({ ...ROW, node, card: { ...ROW.card, id } });
  const ledger = { rows: [row('a', '1'), row('b', '2'), row('a', '3'), row(undefined, '4')], unread: [] };
  assert.is(findCard(ledger, 'a')?.node, '3');
  assert.is(findCard(ledger, 'b')?.node, '2');
  assert.is(findCard(ledger, 'c'), undefined);
});

test('what cannot be written or read is told with the name of the file', async () => {
  const folder = temporaryFolder();
  await writeFile(join(folder, 'out'), '');
  const file = join(folder, 'out/ledger.jsonl');
  const failed: unknown = await appendToLedger(file, ROW).catch((error: unknown) => error);
  assert.instance(failed, PiimgError);
  assert.match((failed as PiimgError).message, `The ledger ${file} cannot be added to: `);
  const unread: unknown = await readLedger(folder).catch((error: unknown) => error);
  assert.instance(unread, PiimgError);
  assert.is((unread as PiimgError).exitCode, EXIT.usage);
  const full: unknown = await appendToLedger('/dev/full', ROW).catch((error: unknown) => error);
  assert.match((full as PiimgError).message, /\/dev\/full cannot be added to: ENOSPC/);
});

test('what is no row is not added', async () => {
  const file = newFile();
  await appendToLedger(file, { ...ROW, written: -1 }).then(
    () => assert.unreachable(),
    () => {},
  );
  assert.is(await readLedger(file), undefined);
});

test.run();
