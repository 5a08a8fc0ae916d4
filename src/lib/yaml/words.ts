// Words that more than one kind of file is spelled with.
import { z } from 'zod';

/**
 * A text that must match `pattern`; `right` says in words what does, with an example: reports print it after "allowed:".
 */
export function word(pattern: RegExp, right: string): z.ZodString {
  return z.string().regex(pattern, { error: right, abort: true });
}

/** Free text on one line: names of steps, summaries. */
export const line = word(/^[^\p{Cc}]+$/u, 'one line of text');

/** Debian policy 5.6.1. */
export const packageName = word(
  /^[a-z0-9][a-z0-9+.-]+$/,
  'a Debian package name in lower case, like `nginx`, without architecture',
);
