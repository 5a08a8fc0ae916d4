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

/** Debian policy 5.6.7, but for a `-` at the end: apt takes `vim-` for an order to remove vim. No package has such a name. */
export const PACKAGE_NAME = '[a-z0-9][a-z0-9+.-]*[a-z0-9+.]';
export const packageName = word(
  new RegExp(`^${PACKAGE_NAME}$`),
  'a Debian package name in lower case, like `nginx`, without architecture and without `-` at the end',
);
