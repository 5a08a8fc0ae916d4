// What a flash is about to do, for the person who is to agree.
import { formatBytes } from '../lib/bytes.ts';
import { plainText } from '../lib/plain-text.ts';
import { formatDuration } from './rate.ts';
import type { Style } from './style.ts';
import { formatTable } from './table.ts';

export interface ShownImage {
  name: string;
  role?: string;
  /** Its first digits are shown. */
  digest?: string;
  /** Seconds since it was written. */
  age?: number;
  /** Bytes; undefined where only its end tells. */
  size?: number;
  /** Bytes that go to each card. */
  mapped?: number;
  packing: string;
}

export interface ShownTarget {
  device: {
    path: string;
    size: number;
    model: string;
    serial?: string;
    partitions: { label?: string; filesystem?: string }[];
    mounts: string[];
  };
  node?: string;
  /** Byte that an earlier run has come to. */
  resumeFrom: number;
}

/** The image on a line, a row for each card. */
export function formatFlashPlan(image: ShownImage, targets: ShownTarget[], style: Style): string {
  const { name, role, digest, age, size, mapped, packing } = image;
  const facts = [
    ...(role === undefined ? [] : [`role ${role}`]),
    ...(digest === undefined ? [] : [`sha256 ${digest.slice(0, 12)}`]),
    ...(age === undefined ? [] : [`made ${formatDuration(age)} ago`]),
    ...(size === undefined ? [packing === 'none' ? 'of unknown size' : `packed (${packing})`] : [formatBytes(size)]),
    ...(mapped === undefined || mapped === size ? [] : [`${formatBytes(mapped)} of it to write`]),
  ];
  const rows = targets.map(({ device, node, resumeFrom }) => [
    style.bold(device.path),
    formatBytes(device.size),
    plainText(device.model),
    device.serial === undefined ? '' : `serial ${plainText(device.serial)}`,
    style.dim(plainText(contentOf(device))),
    [
      node === undefined ? '' : `becomes ${style.bold(node)}`,
      resumeFrom > 0 ? `goes on at ${formatBytes(resumeFrom)}` : '',
    ]
      .filter(Boolean)
      .join(', '),
  ]);
  return `${style.bold(plainText(name))}: ${facts.join(' · ')}\n${formatTable(rows, [1]).replaceAll(/^/gm, '  ')}`;
}

function contentOf({ partitions, mounts }: ShownTarget['device']): string {
  const names = partitions.map(({ label, filesystem }) => label ?? filesystem ?? '?');
  const what = names.length === 0 ? 'nothing known on it' : `holds ${names.join(', ')}`;
  return mounts.length === 0 ? what : `${what}, mounted at ${mounts.join(', ')}`;
}
