// `piimg card`: what a card is, who it is, and whether it is still as it was flashed.
import { CARD_RECORD, parseCardRecord, type CardRecord } from '../../flash/card-record.ts';
import { digestOfCard } from '../../flash/card-digest.ts';
import { findCard, readLedger, type Ledger, type LedgerRow } from '../../flash/ledger.ts';
import { EXIT } from '../../lib/errors.ts';
import type { Result } from '../../lib/first-boot.ts';
import type { SeedDescription } from '../../seed/describe.ts';
import { formatCard } from '../../ui/card-summary.ts';
import type { ProgressKind } from '../../ui/progress.ts';
import { styleFor } from '../../ui/style.ts';
import { createContext, type Context } from '../context.ts';
import { withOpener, type Opener } from '../flashing/opener.ts';
import { sayingOf } from '../flashing/record.ts';
import { withImageFile } from '../open-image-file.ts';
import { describeCard, readBootFile, RESULT_FILE, withCard, type SeedCard } from '../seed-card.ts';
import { print, printJson, tell } from './output.ts';

export interface CardFlags {
  ledger: string;
  json?: boolean;
  progress: ProgressKind;
}

export interface CardReport {
  card: string;
  /** Of an image that piimg has built. */
  role?: string;
  buildId?: string;
  base?: string;
  record?: CardRecord;
  seed?: SeedDescription;
  /** How its first boot went; `unreadable` where the machine was stopped while it wrote that. */
  result?: Result | 'unreadable';
  flashed?: LedgerRow;
  /** Whether it still holds what was read back then; absent where that cannot be said, `unknown` says why. */
  equal?: boolean;
  unknown?: string;
}

/** Exit code 1 when the card is not what its row in the ledger says, or its first boot failed. */
export async function card(file: string, flags: CardFlags, signal: AbortSignal): Promise<void> {
  const report = await withOpener([file], { signal }, (opener) => reportOf(file, flags, signal, opener));
  if (flags.json) printJson(report);
  else print(formatCard(report, styleFor(process.stdout)));
  const failed = typeof report.result === 'object' && report.result.status === 'failed';
  if (report.equal === false || failed) process.exitCode = EXIT.failed;
}

async function reportOf(
  file: string,
  { ledger: noted, progress }: CardFlags,
  signal: AbortSignal,
  opener: Opener,
): Promise<CardReport> {
  const ledger = await readLedger(noted);
  for (const { line, why } of ledger?.unread ?? []) tell(`warning: ${noted}, line ${line}: ${why}`);
  const digest = digester(file, { ...createContext(signal, progress), opener });
  const { header, record, table, size } = await withImageFile(file, opener, async ({ handle, size }) => ({
    ...(await sayingOf(file, handle)),
    size,
  }));
  if (!header && !record) {
    const found = ledger && (await unnamedRow(ledger, { table, size }, digest));
    if (found) return { card: file, ...found };
  }
  const known: Known = record ? { record } : await withCard(file, { opener }, inspect);
  const flashed = known.record && ledger && findCard(ledger, known.record.cardId);
  const compared = await compare(known, flashed, table, digest);
  return { card: file, ...known, ...(flashed && { flashed }), ...compared };
}

type Digest = (row: LedgerRow) => Promise<string>;

/** Of what a card has where its row says that something was written. */
const digester =
  (file: string, { progress, signal, opener }: Context & { opener: Opener }): Digest =>
  ({ map, card: { capacity: size } }) => {
    const ranges = map.ranges.map(([offset, length]) => ({ offset, length }));
    const total = ranges.reduce((sum, { length }) => sum + length, 0);
    return withImageFile(file, opener, ({ handle }) =>
      progress.step(`reading ${file}`, (step) => {
        let done = 0;
        const shown = (bytes: number): void => step.update({ done: (done += bytes), total, unit: 'bytes' });
        return digestOfCard(handle, { ranges, size }, shown, signal);
      }),
    );
  };

/**
 * The row of a card that says nothing of itself, an image of another maker's as it is: the newest of a card of this size, with this table, whose
 * content is that card's still; else the newest of them. Of two cards of one image either may be told.
 */
async function unnamedRow(
  { rows }: Ledger,
  { table, size }: { table: string; size: number },
  digest: Digest,
): Promise<Required<Pick<CardReport, 'flashed' | 'equal'>> | undefined> {
  const those = rows.filter(
    ({ card }) => card.id === undefined && card.capacity === size && card.digest !== undefined && card.table === table,
  );
  const digests = new Map<string, string>();
  for (const row of those.toReversed()) {
    // Cards of one image are read once.
    const map = JSON.stringify(row.map);
    const found = digests.get(map) ?? (await digest(row));
    digests.set(map, found);
    if (found === row.card.digest) return { flashed: row, equal: true };
  }
  const newest = those.at(-1);
  return newest && { flashed: newest, equal: false };
}

type Known = Pick<CardReport, 'role' | 'buildId' | 'base' | 'record' | 'seed' | 'result'>;

async function inspect(opened: SeedCard): Promise<Known> {
  const { role, buildId, base } = opened.header;
  const block = Buffer.alloc(CARD_RECORD.length);
  await opened.handle.read(block, 0, block.length, CARD_RECORD.offset);
  const record = parseCardRecord(block);
  const text = (await readBootFile(opened, RESULT_FILE))?.trim();
  const seed = await describeCard(opened);
  return { role, buildId, base, seed, ...(record && { record }), ...(text && { result: resultIn(text) }) };
}

function resultIn(text: string): Result | 'unreadable' {
  try {
    return JSON.parse(text) as Result;
  } catch {
    return 'unreadable';
  }
}

async function compare(
  { record, result, role }: Known,
  flashed: LedgerRow | undefined,
  table: string,
  digest: Digest,
): Promise<Pick<CardReport, 'equal' | 'unknown'>> {
  if (record === undefined) return { unknown: 'it has no record of having been flashed by piimg' };
  if (flashed === undefined) return { unknown: 'the ledger does not know it' };
  if (flashed.card.digest === undefined) return { unknown: 'it was not read back when it was flashed' };
  if (result !== undefined) return { unknown: 'a machine has booted from it since, and changed it' };
  // A first boot of another maker's tells nothing, but it grows the last partition, or changes the disk's id.
  if (role === undefined && flashed.card.table !== undefined && flashed.card.table !== table)
    return { unknown: 'its partition table is another one now: a machine has booted from it since, most likely' };
  return { equal: (await digest(flashed)) === flashed.card.digest };
}
