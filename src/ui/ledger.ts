// The ledger for people: a row for each card that was written, the newest first.
import type { LedgerRow } from '../flash/ledger.ts';
import { formatBytes } from '../lib/bytes.ts';
import { plainLine } from '../lib/plain-text.ts';
import type { Style } from './style.ts';
import { formatTable } from './table.ts';

const HEAD = ['time', 'node', 'role', 'card', 'capacity', 'wrote', 'read', 'verdict'];

/** With a head line; what went wrong stands behind the verdict. */
export function formatLedger(rows: LedgerRow[], style: Style): string {
  const colour = { verified: style.green, written: style.yellow, failed: style.red, stopped: style.red };
  const newest = rows.toReversed().sort((a, b) => Date.parse(b.time) - Date.parse(a.time));
  const cells = newest.map(({ time, node, role, card, writeRate, readRate, verdict, problem }) => [
    localTime(new Date(time)),
    style.bold(plainLine(node ?? '-')),
    plainLine(role ?? '-'),
    plainLine(card.model === '' ? card.device : `${card.device} ${card.model}`),
    formatBytes(card.capacity),
    rateOf(writeRate),
    rateOf(readRate),
    `${colour[verdict](verdict)}${problem === undefined ? '' : `: ${plainLine(problem)}`}`,
  ]);
  return formatTable([HEAD.map(style.dim), ...cells], [4, 5, 6]);
}

const rateOf = (rate: number | undefined): string => (rate === undefined ? '-' : `${formatBytes(rate)}/s`);

/** `2026-11-27 15:04`, as clocks here show it. */
function localTime(time: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const date = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-');
  return `${date} ${two(time.getHours())}:${two(time.getMinutes())}`;
}
