// What a person wants to know when a build is over: times, sizes, digest, boards, and what to do next.
import type { ImageManifest } from '../image/manifest.ts';
import { formatBytes } from '../lib/bytes.ts';
import { formatDuration } from './rate.ts';
import type { Stage } from './steps.ts';
import type { Style } from './style.ts';
import { formatTable } from './table.ts';

export interface Summary {
  imagePath: string;
  manifestPath: string;
  manifest: ImageManifest;
  reused: boolean;
  stages: Stage[];
}

/** The end-of-build report as text without a final line feed; `next` are commands worth trying. */
export function formatSummary(summary: Summary, next: string[], style: Style): string {
  const { manifest, stages, reused } = summary;
  const sections = [
    stages.length > 0 ? stageTable(stages, style) : '',
    formatTable(facts(summary).map(([name, value]) => [style.dim(name), value])),
    manifest.notes.map((note) => `${style.yellow('note')}  ${note}`).join('\n'),
    ['Next:', ...next.map((command) => `  ${style.cyan(command)}`)].join('\n'),
  ];
  const title = style.bold(
    `${manifest.role}: ${reused ? 'nothing changed, the image is the one from before' : 'image built'}`,
  );
  return [title, ...sections.filter((section) => section !== '')].join('\n\n');
}

function stageTable(stages: Stage[], style: Style): string {
  const total = stages.reduce((sum, { seconds }) => sum + seconds, 0);
  const rows = stages.map(({ title, seconds, cached }) => [
    `  ${title}`,
    formatDuration(seconds),
    cached === undefined ? '' : style.dim(`reused: ${cached}`),
  ]);
  return formatTable([...rows, [style.bold('  together'), formatDuration(total), '']], [1]);
}

function facts({ imagePath, manifestPath, manifest }: Summary): [string, string][] {
  const { image, boards, packages } = manifest;
  return [
    ['image', imagePath],
    ['size', `${formatBytes(image.size)}, ${formatBytes(image.allocated)} of it allocated`],
    ['sha256', image.sha256],
    ...(image.compressed === undefined ? [] : [['packed', packed(image.compressed)] satisfies [string, string]]),
    ['packages', String(packages.length)],
    ['manifest', manifestPath],
    ...boards.map(({ name, boots, note }, index): [string, string] => [
      index === 0 ? 'boards' : '',
      `${name}: ${boots ? 'should boot' : 'does not boot'}${note === '' ? '' : `, ${note}`}`,
    ]),
  ];
}

function packed({ file, size, sha256 }: NonNullable<ImageManifest['image']['compressed']>): string {
  return `${file}, ${formatBytes(size)}, sha256 ${sha256}`;
}
