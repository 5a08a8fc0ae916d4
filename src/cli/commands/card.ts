// `piimg card`: what a card is, who it is, and whether it is still as it was flashed.
import { CARD_RECORD, parseCardRecord, type CardRecord } from '../../flash/card-record.ts';
import { digestOfCard } from '../../flash/card-digest.ts';
import { findCard, readLedger, type LedgerRow } from '../../flash/ledger.ts';
import { EXIT } from '../../lib/errors.ts';
import type { Result } from '../../lib/first-boot.ts';
import type { SeedDescription } from '../../seed/describe.ts';
import { formatCard } from '../../ui/card-summary.ts';
import type { ProgressKind } from '../../ui/progress.ts';
import { styleFor } from '../../ui/style.ts';
import { createContext, type Context } from '../context.ts';
import { withOpener, type Opener } from '../flashing/opener.ts';
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
  role: string;
  buildId: string;
  base: string;
  record?: CardRecord;
  seed: SeedDescription;
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
  const known = await withCard(file, { opener }, inspect);
  const ledger = await readLedger(noted);
  for (const { line, why } of ledger?.unread ?? []) tell(`warning: ${noted}, line ${line}: ${why}`);
  const flashed = known.record && ledger && findCard(ledger, known.record.cardId);
  const compared = await compare(file, known, flashed, { ...createContext(signal, progress), opener });
  return { card: file, ...known, ...(flashed && { flashed }), ...compared };
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
  file: string,
  { record, result }: Known,
  flashed: LedgerRow | undefined,
  { progress, signal, opener }: Context & { opener: Opener },
): Promise<Pick<CardReport, 'equal' | 'unknown'>> {
  if (record === undefined) return { unknown: 'it has no record of having been flashed by piimg' };
  if (flashed === undefined) return { unknown: 'the ledger does not know it' };
  if (flashed.card.digest === undefined) return { unknown: 'it was not read back when it was flashed' };
  if (result !== undefined) return { unknown: 'a machine has booted from it since, and changed it' };
  const ranges = flashed.map.ranges.map(([offset, length]) => ({ offset, length }));
  const total = ranges.reduce((sum, { length }) => sum + length, 0);
  const size = flashed.card.capacity;
  const digest = await withImageFile(file, opener, ({ handle }) =>
    progress.step(`reading ${file}`, (step) => {
      let done = 0;
      const shown = (bytes: number): void => step.update({ done: (done += bytes), total, unit: 'bytes' });
      return digestOfCard(handle, { ranges, size }, shown, signal);
    }),
  );
  return { equal: digest === flashed.card.digest };
}
