// HTML and XML as template literals in which nothing is markup that was not written as such.
import { plainText } from '../../lib/plain-text.ts';

/** What `markup` has made, and is therefore not escaped again. */
export interface Markup {
  markup: string;
}

/** Nothing, where there is nothing to say. */
type Value = string | number | Markup | Markup[] | undefined;

/** Texts are cleaned and escaped, for content and for quoted attributes; markup and lists of it stay as they are. */
export function markup(strings: TemplateStringsArray, ...values: Value[]): Markup {
  return { markup: strings.reduce((all, part, index) => all + render(values[index - 1]) + part) };
}

/** Text that is markup already: a style sheet. Never anything from a machine. */
export function verbatim(text: string): Markup {
  return { markup: text };
}

function render(value: Value): string {
  if (value === undefined) return '';
  if (Array.isArray(value)) return value.map(render).join('');
  return typeof value === 'object' ? value.markup : escape(String(value));
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escape(text: string): string {
  return plainText(text).replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}
