// What a card is, for people.
import { plainText } from '../lib/plain-text.ts';
import { describeResult, type Result } from '../lib/first-boot.ts';
import type { Style } from './style.ts';
import { formatTable } from './table.ts';

export interface ShownReport {
  card: string;
  role?: string;
  buildId?: string;
  base?: string;
  record?: { cardId: string; written: string; node?: string };
  seed?: { firstBoot?: 'own'; node?: string; users: { name: string; keys: unknown[] }[] };
  result?: Result | 'unreadable';
  flashed?: { image: { name: string }; verdict: string; node?: string | undefined };
  equal?: boolean;
  unknown?: string;
}

const OWN = "who is told to its base's own first boot: piimg inspect says";
const FOREIGN = 'whoever its own first boot was told: piimg inspect says';

/** A fact a line; below them, how its first boot went. */
export function formatCard(report: ShownReport, style: Style): string {
  const { card, role, buildId = '', base = '', record, seed, result, flashed, equal, unknown = '' } = report;
  const users = (seed?.users ?? []).filter(({ keys }) => keys.length > 0).map(({ name }) => name);
  const node = seed ? seed.node : (record?.node ?? flashed?.node);
  const rows = [
    [
      'image',
      role === undefined ? 'of another maker' : plainText(`role ${role} on ${base}, build ${buildId.slice(0, 12)}`),
    ],
    [
      seed ? 'node' : 'flashed as',
      node === undefined ? style.dim(seed ? 'none: it has no seed' : 'not known here') : plainText(node),
    ],
    ['logs in', users.length > 0 ? plainText(users.join(', ')) : style.dim(seed ? nobodyOf(seed) : FOREIGN)],
    ['card id', record?.cardId ?? style.dim('none')],
    ...(record === undefined ? [] : [['flashed', new Date(record.written).toLocaleString()]]),
    ...(flashed === undefined ? [] : [['from', plainText(`${flashed.image.name} (${flashed.verdict})`)]]),
    [
      'as flashed',
      equal === undefined
        ? style.dim(`unknown: ${unknown}`)
        : equal
          ? style.green('yes, every byte')
          : style.yellow('no: in its identity or elsewhere; piimg verify IMAGE CARD tells'),
    ],
    ...(seed ? [['first boot', boot(result, style)]] : []),
  ];
  const table = formatTable(rows.map(([name = '', value = '']) => [style.dim(name), value]));
  const story =
    typeof result === 'object' && result.status !== 'applied' ? `\n\n${plainText(describeResult(result))}` : '';
  return `${style.bold(card)}\n${table.replaceAll(/^/gm, '  ')}${story}`;
}

const nobodyOf = ({ firstBoot }: { firstBoot?: 'own' }): string => (firstBoot ? OWN : 'nobody of its seed');

function boot(result: ShownReport['result'], style: Style): string {
  if (result === undefined) return style.dim('not yet');
  if (result === 'unreadable') return style.yellow('begun; its result was cut while it was written');
  return { applied: style.green('went well'), failed: style.red('FAILED'), working: style.yellow('begun') }[
    result.status
  ];
}
