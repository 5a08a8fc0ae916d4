// Disks as rows: what each is, whether a card, why not.
import { formatBytes } from '../lib/bytes.ts';
import { plainText } from '../lib/plain-text.ts';
import type { Style } from './style.ts';
import { formatTable } from './table.ts';

/** What of a disk is shown. */
export interface ShownDrive {
  device: {
    path: string;
    size: number;
    model: string;
    partitions: { path: string; label?: string; filesystem?: string }[];
    mounts: string[];
  };
  verdict: 'card' | 'fixed' | 'refused';
  reason: string;
  hint?: string;
}

/** A row for each, with what is on it. */
export function formatDrives(drives: ShownDrive[], style: Style): string {
  const colour = { card: style.green, fixed: style.yellow, refused: style.dim };
  const words = { card: 'card', fixed: 'no card?', refused: 'refused' };
  const rows = drives.map(({ device, verdict, reason, hint }) => [
    style.bold(device.path),
    device.size === 0 ? '-' : formatBytes(device.size),
    plainText(device.model),
    colour[verdict](words[verdict]),
    hint === undefined ? reason : `${reason}. ${hint}`,
    style.dim(plainText(contentOf(device))),
  ]);
  return formatTable(rows, [1]);
}

function contentOf({ partitions, mounts }: ShownDrive['device']): string {
  const parts = partitions.map(({ label, filesystem }) => label ?? filesystem ?? '?');
  const where = mounts.length === 0 ? '' : ` at ${mounts.join(', ')}`;
  return `${parts.join(', ')}${where}`.trim();
}
