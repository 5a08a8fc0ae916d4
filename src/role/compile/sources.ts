// Extra apt sources as files of the image, so that what was installed from them gets its updates.
import type { Draft } from '../draft.ts';
import type { AptSource } from '../resolved.ts';
import { heading, type WrittenFile } from './written.ts';

/** deb822 as sources.list(5) has it; keyrings where apt's manual wants an administrator's, named for what they are: text or not. */
export function compileSources({ sources }: Draft, read: AptSource[]): WrittenFile[] {
  return read.flatMap(({ name, uris, suites, components, keyring }): WrittenFile[] => {
    const place = sources.get(name)?.place;
    if (place === undefined) return [];
    const keys = `etc/apt/keyrings/${name}.${keyring.path.endsWith('.asc') ? 'asc' : 'gpg'}`;
    const lines = [
      'Types: deb',
      `URIs: ${uris.join(' ')}`,
      `Suites: ${suites.join(' ')}`,
      ...(components.length > 0 ? [`Components: ${components.join(' ')}`] : []),
      `Signed-By: /${keys}`,
    ];
    const content = `${heading('sources')}${lines.join('\n')}\n`;
    return [
      { path: keys, source: keyring, section: 'sources', place },
      { path: `etc/apt/sources.list.d/${name}.sources`, content, section: 'sources', place },
    ];
  });
}
