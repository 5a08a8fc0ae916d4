// The files that sections of a role become: sysctl, modules, firewall, keys, apt sources.
import type { Draft, Entries } from '../draft.ts';
import type { Place } from '../../lib/yaml/place.ts';
import type { SourceFile } from '../resolved.ts';

/** A text file that piimg writes, a file of the user's, or a folder when it is neither; `section` is the key of the role it comes from, `place` where that is. */
export interface WrittenFile {
  path: string;
  content?: string;
  source?: SourceFile;
  section: keyof Draft | 'modules';
  place: Place;
  mode?: number;
  owner?: string;
  group?: string;
}

/** First line of every such file: where to change it. */
export function heading(section: string): string {
  return `# Written by piimg from \`${section}:\` of the role; change it there.\n`;
}

/** The first entry's place stands for a whole section. */
export function placeOf(...sections: Entries<unknown>[]): Place | undefined {
  return sections.flatMap((entries) => [...entries.values()])[0]?.place;
}
