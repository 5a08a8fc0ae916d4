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

export interface ShownDevice {
  path: string;
  size: number;
  model: string;
  serial?: string;
  partitions: { label?: string; filesystem?: string }[];
  mounts: string[];
}

/** What piimg wrote to it before. */
export interface ShownRecord {
  node?: string | undefined;
  /** Of an image that piimg has built. */
  role?: string | undefined;
  /** ISO 8601. */
  written: string;
}

export interface ShownTarget {
  device: ShownDevice;
  was?: ShownRecord;
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
  const rows = targets.map(({ device, was, node, resumeFrom }) => [
    style.bold(device.path),
    formatBytes(device.size),
    plainText(device.model),
    device.serial === undefined ? '' : `serial ${plainText(device.serial)}`,
    style.dim(plainText(contentOf(device, was))),
    [
      node === undefined ? '' : `becomes ${style.bold(node)}`,
      resumeFrom > 0 ? `goes on at ${formatBytes(resumeFrom)}` : '',
    ]
      .filter(Boolean)
      .join(', '),
  ]);
  const table = rows.length === 0 ? '' : `\n${formatTable(rows, [1]).replaceAll(/^/gm, '  ')}`;
  return `${style.bold(plainText(name))}: ${facts.join(' · ')}${table}`;
}

/** Of another maker's image it is not known who it was told to be since. */
const whoOf = ({ node = 'no node', role }: ShownRecord): string =>
  role === undefined ? `was ${node}` : `is ${node} of role ${role}`;

/** What would be lost, as far as anybody knows. */
export function contentOf({ partitions, mounts }: ShownDevice, was: ShownRecord | undefined): string {
  const names = partitions.map(({ label, filesystem }) => label ?? filesystem ?? '?');
  const facts = [
    ...(was === undefined ? [] : [`${whoOf(was)}, flashed on ${was.written.slice(0, 10)}`]),
    ...(names.length === 0 ? [] : [`holds ${names.join(', ')}`]),
    ...(mounts.length === 0 ? [] : [`mounted at ${mounts.join(', ')}`]),
  ];
  return facts.length === 0 ? 'nothing known on it' : facts.join(', ');
}
