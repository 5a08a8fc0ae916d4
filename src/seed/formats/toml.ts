// TOML as both of Raspberry Pi's readers take it: one line for each key, basic strings, arrays on one line.

export type TomlValue = string | boolean | number | string[];
/** Keys that are undefined are left out, and a table that has none. */
export type TomlTables = Record<string, Record<string, TomlValue | undefined>>;

/**
 * `head` comes before the tables. rpi-preseed's own parser (src/lib/toml.sh) ends an array of several lines at the first `]`, even within a
 * string, and knows the escapes `\\` and `\"` only: callers see to it that there are no control characters.
 */
export function toml(head: Record<string, TomlValue>, tables: TomlTables): string {
  const sections = Object.entries(tables).flatMap(([name, table]) => {
    const lines = linesOf(table);
    return lines.length === 0 ? [] : ['', `[${name}]`, ...lines];
  });
  return `${[...linesOf(head), ...sections].join('\n')}\n`;
}

const linesOf = (table: Record<string, TomlValue | undefined>): string[] =>
  Object.entries(table).flatMap(([key, value]) => (value === undefined ? [] : [`${key} = ${spelled(value)}`]));

function spelled(value: TomlValue): string {
  if (Array.isArray(value)) return `[${value.map(spelled).join(', ')}]`;
  return typeof value === 'string' ? `"${value.replaceAll(/["\\]/g, (character) => `\\${character}`)}"` : String(value);
}
