// How a flash went, card by card, and what to do with the cards.
import { formatBytes } from '../lib/bytes.ts';
import { formatDuration } from './rate.ts';
import type { Style } from './style.ts';

export interface ShownCard {
  device: string;
  node?: string;
  verdict: 'verified' | 'written' | 'failed' | 'stopped';
  problem?: string;
  hint?: string;
  /** Bytes and seconds. */
  written: number;
  read: number;
  writing: number;
  reading: number;
}

/** A line for each card, with what went wrong below it. */
export function formatFlashed(cards: ShownCard[], style: Style): string {
  return cards.map((card) => lines(card, style).join('\n')).join('\n');
}

function lines(card: ShownCard, style: Style): string[] {
  const { device, node, verdict, problem, hint } = card;
  const colour = { verified: style.green, written: style.yellow, failed: style.red, stopped: style.red };
  const words = {
    verified: 'written, read back and right: safe to remove',
    written: 'written, not read back: safe to remove',
    failed: 'FAILED',
    stopped: 'STOPPED',
  };
  const title = node === undefined ? style.bold(device) : `${style.bold(node)} on ${device}`;
  return [
    `${title}: ${colour[verdict](words[verdict])}${rates(card)}`,
    ...(problem === undefined ? [] : [`  ${problem}`]),
    ...(hint === undefined ? [] : [`  ${style.cyan('hint:')} ${hint}`]),
  ];
}

function rates({
  written,
  writing,
  read,
  reading,
}: Pick<ShownCard, 'written' | 'writing' | 'read' | 'reading'>): string {
  const part = (bytes: number, seconds: number, verb: string): string[] =>
    bytes > 0 && seconds > 0
      ? [`${verb} ${formatBytes(bytes)} in ${formatDuration(seconds)} (${formatBytes(bytes / seconds)}/s)`]
      : [];
  const parts = [...part(written, writing, 'wrote'), ...part(read, reading, 'read')];
  return parts.length === 0 ? '' : ` · ${parts.join(', ')}`;
}

/** Whether a card is what its image says. */
export function formatCompared(
  {
    name,
    image,
    own,
    problem,
    hint,
    read,
    reading,
  }: { name: string; image: string; own: boolean; problem?: string; hint?: string; read: number; reading: number },
  style: Style,
): string {
  const facts = rates({ written: 0, writing: 0, read, reading });
  if (problem !== undefined)
    return [
      `${style.bold(name)}: ${style.red(problem)}${facts}`,
      ...(hint === undefined ? [] : [`  ${style.cyan('hint:')} ${hint}`]),
    ].join('\n');
  return `${style.bold(name)}: ${style.green(`equal to ${image}`)}${own ? ', but for its identity' : ''}${facts}`;
}
