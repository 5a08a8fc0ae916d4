// Finds on the card what the firmware looks for.
import { lastOf, placeOf, type Config } from './config-txt.ts';
import type { BootFile, BootPartition } from './partition.ts';
import { prefersUpstream, type Wanted } from './wanted.ts';
import { wouldNotBoot } from './would-not-boot.ts';

export interface FoundFile {
  /** As config.txt or the board names it. */
  name: string;
  /** On the boot partition. */
  path: string;
  /** What it was wanted for. */
  what: string;
  file: BootFile;
}

/** Where a name leads: behind the prefix, unless it begins with a slash ("os_prefix"). */
export const pathOf = (prefix: string, name: string): string =>
  (name.startsWith('/') ? name : prefix + name).replace(/^\/+/, '');

/** The first of the names that is on the card. */
export async function search(
  partition: BootPartition,
  prefix: string,
  { names, what }: Wanted,
): Promise<FoundFile | undefined> {
  for (const name of names) {
    const path = pathOf(prefix, name);
    const file = await partition.find(path);
    if (file !== undefined) return { name, path, what, file };
  }
  return undefined;
}

/** The same for a file without which nothing starts: throws the finding when it is missing or empty. */
export async function demand(partition: BootPartition, prefix: string, wanted: Wanted): Promise<FoundFile> {
  const found = await search(partition, prefix, wanted);
  const hint = 'Put the file on the boot partition, or correct config.txt.';
  if (found === undefined) {
    const paths = wanted.names.map((name) => pathOf(prefix, name)).join(' or ');
    throw wouldNotBoot(`there is no ${paths} on its boot partition, ${wanted.what}.`, hint);
  }
  if (found.file.size === 0) throw wouldNotBoot(`${found.path} on its boot partition, ${found.what}, is empty.`, hint);
  return found;
}

/**
 * What the names of the system's files begin with. A prefix behind which kernel and device tree are not both found is ignored
 * ("os_prefix"), and upstream_kernel=1 tries `upstream/` ("upstream_kernel").
 */
export async function findPrefix(partition: BootPartition, config: Config, expected: Wanted[]): Promise<string> {
  const setting = lastOf(config, 'os_prefix');
  const prefix = setting?.value ?? (prefersUpstream(config) ? 'upstream/' : '');
  for (const wanted of expected) {
    if ((await search(partition, prefix, wanted)) !== undefined) continue;
    if (setting !== undefined)
      config.warnings.push(`${placeOf(setting)}: os_prefix=${prefix} is ignored, as ${wanted.what} is not there.`);
    return '';
  }
  return prefix;
}
