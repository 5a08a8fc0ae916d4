// What an image that somebody else made is, for people.
import { formatBytes } from '../lib/bytes.ts';
import { plainLine } from '../lib/plain-text.ts';
import type { Description } from '../vendor/describe.ts';
import type { FactValue } from '../vendor/facts.ts';
import type { Identity } from '../vendor/identity.ts';
import type { InitFormat } from '../vendor/view.ts';
import type { Style } from './style.ts';
import { formatTable } from './table.ts';

type Row = [string, string];

/** Words for each format, and the files it is written to. */
const FORMATS: Record<InitFormat, string> = {
  piimg: 'seed slots of piimg',
  'cloudinit-rpi': 'cloud-init with the modules of Raspberry Pi: user-data, network-config, meta-data',
  cloudinit: 'cloud-init: user-data, network-config, meta-data',
  systemd: 'a script that the command line names: firstrun.sh',
  'custom-toml': 'custom.toml',
  'rpi-preseed': 'rpi-preseed.toml',
  userconf: 'userconf.txt and ssh',
  none: 'in no way that piimg knows',
};

/** Sections with a fact a line. */
export function formatInspection(file: string, description: Description, style: Style): string {
  const { init, growth, notes } = description;
  const sections: [string, Row[]][] = [
    ['disk', disk(description)],
    ['system', system(description)],
    [
      'first boot',
      [
        ['told by', `${style.bold(init.format)}: ${FORMATS[init.format]}`],
        ...init.evidence.map((line): Row => ['', line]),
        ...(init.others.length > 0 ? [['also reads', init.others.join(', ')] satisfies Row] : []),
        ...init.against.map((line): Row => ['not', line]),
        ...growth.map(({ what, how, armed }): Row => [`grows ${what}`, armed ? how : `${how}; not armed`]),
        ...(growth.length === 0 ? [['grows', 'not by anything that piimg knows'] satisfies Row] : []),
      ],
    ],
    ['identity', identity(description.identity)],
    ...(notes.length > 0 ? [['notes', notes.map((note): Row => ['', note])] satisfies [string, Row[]]] : []),
  ];
  const texts = sections.map(([title, rows]) => {
    const table = formatTable(rows.map(([name, value]) => [style.dim(name), plainStyled(value)]));
    return `${style.bold(title)}\n${table.replaceAll(/^/gm, '  ')}`;
  });
  return [style.bold(plainLine(file)), ...texts].join('\n\n');
}

function disk({ layout, boot, root }: Description): Row[] {
  return [
    ['size', formatBytes(layout.size)],
    ['table', `${layout.table.toUpperCase()}, disk id ${layout.diskId}`],
    ...layout.partitions.map(({ number, start, sectors, type }): Row => {
      return [
        `partition ${number}`,
        `sector ${start}, ${sectors} sectors (${formatBytes(sectors * 512)}), type ${type}`,
      ];
    }),
    [
      'boot',
      `partition ${boot.partition}: FAT${boot.bits} “${boot.label}”, clusters of ${boot.clusterBytes} bytes; ${boot.why}`,
    ],
    ['root', `partition ${root.partition}: ext4 “${root.label}”, blocks of ${root.blockBytes} bytes; ${root.why}`],
    ['ext4', root.features.join(' ')],
  ];
}

function system({ os, architecture, release, kernels, modules }: Description): Row[] {
  const forBuild =
    architecture === 'armhf' ? ' (32 bits: piimg can look at it and give it an identity, but not build on it)' : '';
  return [
    ['os', os.name],
    ['architecture', `${architecture ?? 'unknown'}${forBuild}`],
    ['release', release === undefined ? 'unknown' : `${release.date} (${release.from}: ${release.text})`],
    ...kernels.map(({ file, packing, architecture: machine, version }): Row => {
      const packed = packing === 'gzip' ? 'packed by gzip' : packing === 'unknown' ? 'of no known kind' : packing;
      return ['kernel', [file, packed, machine, version].filter((part) => part !== undefined).join(', ')];
    }),
    ['modules', modules.join(' ') || 'none'],
  ];
}

function identity({ hostname, users, instanceId, ssh, wifi, hostKeys, machineId }: Identity): Row[] {
  return [
    ['host name', hostname ?? 'none'],
    ...users.map(({ name, from, password }): Row => [
      'user',
      `${name} (${from}${password === 'unknown' ? '' : `, password ${password}`})`,
    ]),
    ['instance id', instanceId === undefined ? 'none' : `${instanceId.value} (${instanceId.from})`],
    ['ssh', ssh === undefined ? 'not enabled' : `enabled: ${ssh}`],
    ...wifi.map(({ name, from }): Row => ['wi-fi', `${name} (${from})`]),
    ['host keys', hostKeys.length === 0 ? 'none' : `${hostKeys.join(' ')}: every card would have the same`],
    ['machine id', machineId],
  ];
}

/** One line of what an image says, which may be anything; colours are ours. */
const plainStyled = (text: string): string => (text.startsWith('\x1b[') ? text : plainLine(text));

/** A fact with three lines: what the image has, what is documented, and where. */
export function formatFacts(facts: FactValue[], style: Style): string {
  return facts
    .map(({ id, what, value, documented, source }) =>
      [
        `${style.bold(id)}  ${what}`,
        ...formatTable([
          [style.dim('  image'), plainLine(value)],
          [style.dim('  documented'), documented],
          [style.dim('  source'), source],
        ]).split('\n'),
      ].join('\n'),
    )
    .join('\n');
}
