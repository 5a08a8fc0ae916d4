// Values of options, checked while the command line is read.
import { InvalidArgumentError } from 'commander';
import { EXIT, PiimgError } from '../lib/errors.ts';
import { nearest } from '../lib/suggest.ts';

const FACTORS: Record<string, number> = {
  '': 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
};

/** `4G` or `4GiB` (powers of 1024, as mkfs and truncate count), `4GB` (powers of 1000), bytes without a unit. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const factor = FACTORS[match?.[2]?.toLowerCase() ?? '?'];
  const bytes = Math.round(Number(match?.[1]) * (factor ?? NaN));
  if (!(bytes > 0)) throw new InvalidArgumentError('It is written like 4G, 3500M or 4GB.');
  return bytes;
}

/** A whole number of at least `least`. */
function wholeNumber(text: string, least: number): number {
  if (!/^\d{1,4}$/.test(text) || Number(text) < least) {
    throw new InvalidArgumentError(`It is a whole number of at least ${least}.`);
  }
  return Number(text);
}

/** How many: at least 1. */
export const parseCount = (text: string): number => wholeNumber(text, 1);

/** An age in days: 0 is now. */
export const parseDays = (text: string): number => wholeNumber(text, 0);

/** `a,b`, and more when the option is given again; whatever is given takes the place of `initial`, the default. */
export function parseNames(initial: string[]): (text: string, before: string[]) => string[] {
  return (text, before) => {
    const names = text.split(',').map((name) => name.trim());
    if (names.includes('')) throw new InvalidArgumentError('It is a name, or several with commas between them.');
    return before === initial ? names : [...before, ...names];
  };
}

/** The address of an archive. */
export function parseUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new InvalidArgumentError('It is an http or https URL.');
  }
  return text.replace(/\/+$/, '');
}

/** A sha256 in hex. */
export function parseDigest(text: string): string {
  if (!/^[0-9a-f]{64}$/i.test(text)) throw new InvalidArgumentError('It is a sha256: 64 hexadecimal digits.');
  return text.toLowerCase();
}

/** `--mirror`, else PIIMG_MIRROR, which is not set when it is empty. Throws PiimgError (usage) when that is no address. */
export function mirrorFrom(option: string | undefined, { PIIMG_MIRROR: set }: NodeJS.ProcessEnv): string | undefined {
  if (option !== undefined || !set) return option;
  try {
    return parseUrl(set);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new PiimgError(`The environment variable PIIMG_MIRROR is ${JSON.stringify(set)}. ${error.message}`, {
      exitCode: EXIT.usage,
      hint: 'Set it to the address of a Debian mirror, or unset it.',
    });
  }
}

/** One of a few words. */
export function parseWord<T extends string>(words: readonly T[]): (text: string) => T {
  return (text) => {
    const word = words.find((one) => one === text);
    if (word !== undefined) return word;
    const meant = nearest(text, words);
    const suggestion = meant === undefined ? '' : `\n(Did you mean ${meant}?)`;
    throw new InvalidArgumentError(`Allowed choices are ${words.join(', ')}.${suggestion}`);
  };
}

/** Every value of an option that may be given again. */
export function collect(text: string, before: string[] = []): string[] {
  return [...before, text];
}

/** `a,b`, and more when the option is given again. */
export function collectNames(text: string, before: string[] = []): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.includes('')) throw new InvalidArgumentError('It is one, or several with commas between them.');
  return [...before, ...names];
}

/** `key=value`, and more when the option is given again; each key once. */
export function collectPairs(text: string, before: [string, string][] = []): [string, string][] {
  const [, key = '', value = ''] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (key === '') throw new InvalidArgumentError('It is written like key=value.');
  if (key === '__proto__') throw new InvalidArgumentError('`__proto__` cannot be a key.');
  if (before.some(([name]) => name === key)) throw new InvalidArgumentError(`There is a value for ${key} already.`);
  return [...before, [key, value]];
}
