// `piimg card`: what a card is, who it is, and whether it is still as it was flashed.
import { stat } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { CARD_RECORD, parseCardRecord, type CardRecord } from '../../flash/card-record.ts';
import { digestOfCard } from '../../flash/card-digest.ts';
import { findCard, readLedger, type LedgerRow } from '../../flash/ledger.ts';
import { identifyDisk, openDisk } from '../../host/open-disk.ts';
import { EXIT } from '../../lib/errors.ts';
import type { Result } from '../../lib/first-boot.ts';
import type { SeedDescription } from '../../seed/describe.ts';
import { formatCard } from '../../ui/card-summary.ts';
import type { ProgressKind } from '../../ui/progress.ts';
import { styleFor } from '../../ui/style.ts';
import { createContext, type Context } from '../context.ts';
import { ranAsRoot } from '../flashing/as-root.ts';
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
  if (await ranAsRoot([file], false)) return;
  const context = createContext(signal, flags.progress);
  const known = await withCard(file, {}, inspect);
  const ledger = await readLedger(flags.ledger);
  for (const { line, why } of ledger?.unread ?? []) tell(`warning: ${flags.ledger}, line ${line}: ${why}`);
  const flashed = known.record && ledger && findCard(ledger, known.record.cardId);
  const report: CardReport = {
    card: file,
    ...known,
    ...(flashed && { flashed }),
    ...(await compare(file, known, flashed, context)),
  };
  if (flags.json) printJson(report);
  else print(formatCard(report, styleFor(process.stdout)));
  const failed = typeof report.result === 'object' && report.result.status === 'failed';
  if (report.equal === false || failed) process.exitCode = EXIT.failed;
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
  { progress, signal }: Context,
): Promise<Pick<CardReport, 'equal' | 'unknown'>> {
  if (record === undefined) return { unknown: 'it has no record of having been flashed by piimg' };
  if (flashed === undefined) return { unknown: 'the ledger does not know it' };
  if (flashed.card.digest === undefined) return { unknown: 'it was not read back when it was flashed' };
  if (result !== undefined) return { unknown: 'a machine has booted from it since, and changed it' };
  const block = (await stat(file)).isBlockDevice();
  const handle = block ? await openDisk(await identifyDisk(file), false) : await open(file);
  try {
    const ranges = flashed.map.ranges.map(([offset, length]) => ({ offset, length }));
    const total = ranges.reduce((sum, { length }) => sum + length, 0);
    const digest = await progress.step(`reading ${file}`, (step) => {
      let done = 0;
      const size = flashed.card.capacity;
      return digestOfCard(
        handle,
        { ranges, size },
        (bytes) => step.update({ done: (done += bytes), total, unit: 'bytes' }),
        signal,
      );
    });
    return { equal: digest === flashed.card.digest };
  } finally {
    await handle.close();
  }
}
