// `piimg build`: builds the image of a role and says what came out.
import path from 'node:path';
import { quote } from '../../lib/quote.ts';
import type { ProgressKind } from '../../ui/progress.ts';
import { styleFor } from '../../ui/style.ts';
import { formatSummary } from '../../ui/summary.ts';
import type { BuildOptions, BuildResult } from '../build-options.ts';
import { createContext } from '../context.ts';
import { ownName, print, printJson } from './output.ts';

/** The options as commander gives them: flags that were not given are absent. */
export type BuildFlags = Omit<BuildOptions, 'offline' | 'locked' | 'shellOnError'> &
  Partial<Pick<BuildOptions, 'offline' | 'locked' | 'shellOnError'>> & { json?: boolean; progress: ProgressKind };

export async function build(flags: BuildFlags, signal: AbortSignal): Promise<void> {
  const { json, progress, ...given } = flags;
  const options: BuildOptions = { offline: false, locked: false, shellOnError: false, ...given };
  const { buildRole } = await import('../build.ts');
  const result = await buildRole(options, createContext(signal, progress));
  if (json) printJson(result);
  else print(formatSummary(result, nextCommands(options, result), styleFor(process.stdout)));
}

/** Commands that make sense now, for the very files of this build, as whoever typed `npm start` can type them. */
function nextCommands(options: BuildOptions, { imagePath }: BuildResult): string[] {
  const shown = path.relative(process.cwd(), imagePath);
  const name = path.parse(options.role).name;
  const given = (name: string, value: string | undefined) => (value === undefined ? [] : [name, value]);
  const role = ['--role', options.role, ...given('--base', options.base), ...given('--out', options.out)];
  return [
    `${quote([...ownName(), 'test', shown])}   boot it in QEMU and check that it works`,
    `${quote([...ownName(), 'shell', ...role])}   look around in the built system`,
    `${quote([...ownName(), 'flash', shown, '--node', `pi-${name}`, '--ssh-key'])} ~/.ssh/id_ed25519.pub   write it to a card`,
  ];
}
