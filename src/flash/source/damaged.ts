// The errors for files that cannot be unpacked.
import { PiimgError } from '../../lib/errors.ts';

/** `why` is what the program that unpacks says, or a sentence. */
export function damaged(name: string, why: string, cause?: unknown): PiimgError {
  return new PiimgError(`${name} is damaged or cut off: ${why}`, { hint: 'Download or copy it again.', cause });
}

/** What a program said at last, without what it calls its stdin: `xz: Unexpected end of input`. */
export function lastWords(output: string, program: string): string {
  const lines = output.trimEnd().split('\n');
  const line = (lines.findLast((text) => text.startsWith(`${program}: `)) ?? lines.at(-1) ?? '').trim();
  const words = line.replace(/^\w+: /, '').replace(/^(\(stdin\)|stdin|\/\*stdin\*\\) ?: /, '');
  return words === '' ? `${program} failed` : `${program}: ${words}`;
}
