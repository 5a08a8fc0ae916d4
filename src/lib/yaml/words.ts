// Words that more than one kind of file is spelled with.
import * as z from 'zod';
import { isWholeKey, KEY_LINE } from '../ssh-key.ts';
import { nearest } from '../suggest.ts';

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

/** A user or group: the name as shadow's tools take it (32 characters). */
export const accountName = word(/^[a-z_][a-z0-9_-]{0,30}\$?$/, 'a user or group name in lower case, like `web`');

export const publicKey = word(
  KEY_LINE,
  'a public ssh key, the line of a .pub file, like `ssh-ed25519 AAAA… me@laptop`',
).refine(isWholeKey, {
  error: 'this is not a whole public key, or not one of the type it begins with',
  params: { allowed: 'the line of a .pub file as it is: `ssh-keygen -lf FILE` reads it' },
});

export const timeZone = z.string().superRefine((text, context) => {
  if (isTimezone(text)) return;
  context.addIssue({
    code: 'custom',
    message: `\`${text}\` is not a time zone`,
    params: {
      allowed: 'a name of the IANA time zone database, like `Europe/Berlin` or `Etc/UTC`',
      suggestion: nearest(text, Intl.supportedValuesOf('timeZone')),
    },
  });
});

function isTimezone(text: string): boolean {
  try {
    // Also takes `+02:00`, which is no zone; names begin with a letter.
    if (new Intl.DateTimeFormat('en', { timeZone: text }).format(0) === '' || !/^[A-Z]/.test(text)) return false;
    // And whatever case its letters have, as no file system does.
    const same = Intl.supportedValuesOf('timeZone').find((zone) => zone.toLowerCase() === text.toLowerCase());
    return same === undefined || same === text;
  } catch {
    return false;
  }
}

export const utf8Locale = word(
  /^(C|[a-z]{2,3}_[A-Z]{2}(@[a-z]+)?)\.UTF-8(@[a-z]+)?$/,
  'a UTF-8 locale, like `de_DE.UTF-8` or `C.UTF-8`',
);
