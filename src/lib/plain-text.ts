// Text from a machine that may be broken or hostile, made safe to show: in a terminal, in XML, on a page.
import { stripVTControlCharacters } from 'node:util';

/**
 * Without colours, cursor movements, control characters other than tab and line feed, lone surrogates and the two code points
 * that XML 1.0 forbids (section 2.2), and without what turns the direction of writing: text must read as it is. Line feeds stay
 * as many as they are.
 */
export function plainText(text: string): string {
  return stripVTControlCharacters(text).replaceAll(
    /(?![\t\n])[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069\ufffe\uffff]/gu,
    '',
  );
}

/** The same on one line. */
export function plainLine(text: string): string {
  return plainText(text).trim().replaceAll(/\s+/g, ' ');
}
