// `piimg ledger`: what people and programs are told of the cards that were written.
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { appendToLedger, type LedgerRow } from '../../../src/flash/ledger.ts';
import { EXIT } from '../../../src/lib/errors.ts';
import { formatLedger } from '../../../src/ui/ledger.ts';
import { styleFor } from '../../../src/ui/style.ts';
import { ROW } from '../../helpers/ledger-rows.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { piimg } from './piimg.ts';

const env = { TZ: 'Asia/Tokyo' };
const plain = styleFor({});

/** A folder with a ledger of two cards and a broken line. */
async function project(): Promise<string> {
  const folder = temporaryFolder();
  const file = join(folder, 'out/ledger.jsonl');
  await appendToLedger(file, ROW);
  await appendFile(file, '{"half\n');
  await appendToLedger(file, {
    ...ROW,
    node: 'pi-web2',
    time: '2026-11-27T15:05:05+00:00',
    verdict: 'failed',
    problem: 'sector 7 could not be written',
  });
  return folder;
}

test('a table, the newest first, times as clocks here show them; a broken line is told', async () => {
  const { stdout, stderr, exitCode } = await piimg(['ledger'], { cwd: await project(), env });
  assert.is(exitCode, 0);
  const [head, first, second, ...rest] = stdout.split('\n');
  assert.equal(rest, []);
  assert.match(head ?? '', /^time +node +role +card +capacity +wrote +read +verdict$/);
  assert.match(first ?? '', /^2026-11-28 00:05 +pi-web2 .* failed: sector 7 could not be written$/);
  assert.match(
    second ?? '',
    /^2026-11-28 00:04 +pi-web1 +web +\/dev\/sdb Generic STORAGE +31\.9 GB +26\.3 MB\/s +88\.0 MB\/s +verified$/,
  );
  assert.is(stderr, 'warning: out/ledger.jsonl line 2 is left out: it is damaged, or was only half written');
});

test('--node and --json', async () => {
  const folder = await project();
  const one = await piimg(['ledger', '--node', 'pi-web1', '--json'], { cwd: folder });
  const { rows, unread, file } = JSON.parse(one.stdout) as { rows: LedgerRow[]; unread: unknown[]; file: string };
  assert.equal(rows, [ROW]);
  assert.equal([unread.length, file], [1, 'out/ledger.jsonl']);
  const slip = await piimg(['ledger', '--node', 'pi-wbe1'], { cwd: folder });
  assert.is(slip.stdout, 'out/ledger.jsonl has no card of pi-wbe1. Did you mean pi-web1?');
  assert.is(slip.exitCode, 0);
});

test('no ledger yet, and an empty one, are no failure', async () => {
  const folder = temporaryFolder();
  const none = await piimg(['ledger'], { cwd: folder });
  assert.equal([none.exitCode, none.stderr], [0, '']);
  assert.match(none.stdout, /^There is no ledger out\/ledger\.jsonl yet/);
  const json = await piimg(['ledger', '--json', '--file', 'other.jsonl'], { cwd: folder });
  assert.equal(JSON.parse(json.stdout), { file: 'other.jsonl', rows: [], unread: [] });
  await mkdir(join(folder, 'out'));
  await writeFile(join(folder, 'out/ledger.jsonl'), '');
  assert.is((await piimg(['ledger'], { cwd: folder })).stdout, 'out/ledger.jsonl has no card yet.');
});

test('one that cannot be read is', async () => {
  const { stderr, exitCode } = await piimg(['ledger', '--file', '.'], { cwd: temporaryFolder() });
  assert.match(stderr, /^error: The ledger \. cannot be read: EISDIR/);
  assert.is(exitCode, EXIT.usage);
});

test('the newest first whatever their order; of the same time, the one that was added later', () => {
  const row = (node: string, time: string): LedgerRow => ({ ...ROW, node, time });
  const rows = [row('b', '2026-01-02T00:00:00Z'), row('a', '2026-01-03T00:00:00Z'), row('c', '2026-01-02T00:00:00Z')];
  const nodes = formatLedger(rows, plain)
    .split('\n')
    .slice(1)
    .map((line) => line.split(/ {2,}/)[1]);
  assert.equal(nodes, ['a', 'c', 'b']);
});

test('what others have written there cannot drive the terminal; what is absent is a dash', () => {
  const { node: _, role: __, readRate: ___, ...row } = ROW;
  const text = formatLedger(
    [{ ...row, card: { ...row.card, model: '\x1b[31mEvil\n\x07card' }, problem: 'a\nb' }],
    plain,
  );
  assert.not.match(text, /[^\n\P{Cc}]/u);
  assert.is(text.split('\n').length, 2);
  assert.match(text, / +- +- +\/dev\/sdb Evil card .* +- +verified: a b$/);
});

test('verdicts are coloured by what they mean', () => {
  const colours = styleFor({}, { FORCE_COLOR: '1' });
  const colourOf = (verdict: LedgerRow['verdict']) =>
    new RegExp(`\\x1b\\[(\\d+)m${verdict}`).exec(formatLedger([{ ...ROW, verdict }], colours))?.[1];
  assert.equal(
    ['verified', 'written', 'failed', 'stopped'].map((each) => colourOf(each as 'verified')),
    ['32', '33', '31', '31'],
  );
});

test.run();
