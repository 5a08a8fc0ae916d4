// What was written to the image of another maker, for people.
import type { InitFormat } from '../vendor/view.ts';
import type { Style } from './style.ts';
import { formatTable } from './table.ts';

/** What was written, and beside it what there is to know. */
export interface Customized {
  /** What carries the node now. */
  target: string;
  node: string;
  format: InitFormat;
  /** What of the image says that it reads this format. */
  evidence: string[];
  /** Files of the boot partition that are new, or others than before. */
  files: string[];
  /** Those of an earlier identity in another format. */
  removed: string[];
  users: { name: string; keys: number; password: boolean }[];
  addresses: string[];
  /** Name of a Wi-Fi. */
  wifi?: string;
  /** Lines for ~/.ssh/known_hosts. */
  knownHosts: string[];
}

/** The report, as text without a final line feed; `next` are commands worth trying. */
export function formatCustomized(written: Customized, next: string[], style: Style): string {
  const { target, node, format, evidence, files, removed, users, addresses, wifi, knownHosts } = written;
  const rows: [string, string][] = [
    ['first boot', format],
    ...evidence.map((text): [string, string] => ['', text]),
    ['files', files.join(', ')],
    ...(removed.length > 0 ? [['removed', removed.join(', ')] satisfies [string, string]] : []),
    ['users', users.map(userText).join(', ') || '(as the image has them)'],
    ['network', addresses.join(', ') || 'DHCP'],
    ...(wifi === undefined ? [] : [['Wi-Fi', wifi] satisfies [string, string]]),
    ['checked', 'the boot partition by fsck.vfat; what was written was read back'],
  ];
  return [
    style.bold(`${node}: written to ${target}`),
    formatTable(rows.map(([name, value]) => [style.dim(name), value])),
    ...(knownHosts.length > 0
      ? [['For ~/.ssh/known_hosts:', ...knownHosts.map((line) => `  ${line}`)].join('\n')]
      : []),
    ...(next.length > 0 ? [['Next:', ...next.map((command) => `  ${style.cyan(command)}`)].join('\n')] : []),
  ].join('\n\n');
}

function userText({ name, keys, password }: Customized['users'][number]): string {
  const marks = [
    ...(keys > 0 ? [`${keys} ssh ${keys === 1 ? 'key' : 'keys'}`] : []),
    ...(password ? ['a password'] : []),
  ];
  return `${name} (${marks.join(', ') || 'no key'})`;
}
