// The apt sources of an image, as its files say them (sources.list(5)): one line each, or as stanzas.

/** An archive that an image reads. */
export interface AptSourceEntry {
  uri: string;
  suites: string[];
  components: string[];
  /** Paths of keyrings in the image, or a key itself; empty where any trusted key will do. */
  signedBy: string[] | { key: string };
}

/** The sources of packages in a file, by its name: those that are not switched off, and are for arm64. */
export function sourcesIn(file: string, text: string): AptSourceEntry[] {
  return file.endsWith('.sources') ? stanzas(text) : text.split('\n').flatMap(oneLine);
}

/** `deb [option=value …] URI SUITE [COMPONENT…]` */
function oneLine(line: string): AptSourceEntry[] {
  const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)([^#]*)/.exec(line);
  if (!match) return [];
  const [, options = '', uri = '', suite = '', components = ''] = match;
  const option = (name: string): string[] =>
    options.split(/\s+/).flatMap((word) => (word.startsWith(`${name}=`) ? word.slice(name.length + 1).split(',') : []));
  const architectures = option('arch');
  if (architectures.length > 0 && !architectures.includes('arm64')) return [];
  return readable([{ uri, suites: [suite], components: words(components), signedBy: option('signed-by') }]);
}

function stanzas(text: string): AptSourceEntry[] {
  const lines = text.split('\n').filter((line) => !line.startsWith('#'));
  return lines
    .join('\n')
    .split(/\n\s*\n/)
    .flatMap((stanza) => {
      const fields = fieldsOf(stanza);
      const list = (name: string): string[] => words(fields.get(name) ?? '');
      const architectures = list('architectures');
      const isOff = /^(no|false|without|off|disable)$/i.test(fields.get('enabled')?.trim() ?? '');
      if (!list('types').includes('deb') || isOff) return [];
      if (architectures.length > 0 && !architectures.includes('arm64')) return [];
      const signed = fields.get('signed-by') ?? '';
      const signedBy = signed.includes('BEGIN PGP') ? { key: embedded(signed) } : words(signed.replaceAll(',', ' '));
      const rest = { suites: list('suites'), components: list('components'), signedBy };
      return readable(list('uris').map((uri) => ({ uri, ...rest })));
    });
}

/** Names in lower case → values, with their further lines. */
function fieldsOf(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  let last = '';
  for (const line of stanza.split('\n')) {
    const [, name, value = ''] = /^([A-Za-z-]+):(.*)$/.exec(line) ?? [];
    if (name === undefined) fields.set(last, `${fields.get(last) ?? ''}\n${line}`);
    else fields.set((last = name.toLowerCase()), value);
  }
  return fields;
}

/** A key within a field: each line is indented, and an empty one is a dot. */
const embedded = (text: string): string =>
  text
    .split('\n')
    .map((line) => line.trim())
    .map((line) => (line === '.' ? '' : line))
    .join('\n');

const words = (text: string): string[] => text.split(/\s+/).filter(Boolean);

/** Archives on servers; a CD in a drive is none. */
const readable = (entries: AptSourceEntry[]): AptSourceEntry[] =>
  entries.filter(({ uri, suites }) => /^https?:\/\//.test(uri) && suites.length > 0);
