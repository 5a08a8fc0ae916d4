// `piimg ledger`: which cards were written, with what, and how it went.
import { readLedger, type LedgerRow } from '../../flash/ledger.ts';
import { nearest } from '../../lib/suggest.ts';
import { formatLedger } from '../../ui/ledger.ts';
import { styleFor } from '../../ui/style.ts';
import { print, printJson, tell } from './output.ts';

export interface LedgerFlags {
  file: string;
  node?: string;
  json?: boolean;
}

/** Prints its rows; lines that cannot be read are told on stderr. Throws PiimgError when the file cannot be read. */
export async function ledger({ file, node, json = false }: LedgerFlags): Promise<void> {
  const found = await readLedger(file);
  const { rows: all, unread } = found ?? { rows: [], unread: [] };
  for (const { line, why } of unread) tell(`warning: ${file} line ${line} is left out: ${why}`);
  const rows = node === undefined ? all : all.filter((row) => row.node === node);
  if (json) printJson({ file, rows, unread });
  else if (rows.length > 0) print(formatLedger(rows, styleFor(process.stdout)));
  else print(nothingIn(file, all, { node, there: found !== undefined }));
}

function nothingIn(
  file: string,
  rows: LedgerRow[],
  { node, there }: { node?: string | undefined; there: boolean },
): string {
  if (!there) return `There is no ledger ${file} yet: the first card that is written begins it.`;
  if (rows.length === 0 || node === undefined) return `${file} has no card yet.`;
  const near = nearest(node, new Set(rows.flatMap((row) => row.node ?? [])));
  return `${file} has no card of ${node}.${near === undefined ? '' : ` Did you mean ${near}?`}`;
}
