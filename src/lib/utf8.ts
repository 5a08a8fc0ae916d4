// What need not be UTF-8: decoding would silently put U+FFFD in place of what is not.
import { isUtf8 } from 'node:buffer';

/** The place, from 1, of the first bytes of `bytes` that are not UTF-8; undefined when all are. */
export function notUtf8(bytes: Buffer): { line: number; column: number } | undefined {
  if (isUtf8(bytes)) return undefined;
  let line = 1;
  let start = 0;
  for (;;) {
    // No character of UTF-8 has a byte like a line feed but the line feed itself.
    const end = bytes.indexOf('\n', start);
    const row = bytes.subarray(start, end < 0 ? undefined : end);
    if (end < 0 || !isUtf8(row)) return { line, column: row.toString().indexOf('\uFFFD') + 1 };
    line += 1;
    start = end + 1;
  }
}

/** Bytes that are a name, such as that of a Wi-Fi, for people: the text that they are, in hex where they are none. */
export const shownOctets = (bytes: Buffer): string => (isUtf8(bytes) ? bytes.toString() : `0x${bytes.toString('hex')}`);
