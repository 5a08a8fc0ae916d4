// What a writer of a first-boot format is told of the image, and what it gives back: changes of files on the boot partition.
import type { HostKey } from '../host-keys.ts';

/** What must be known of an image that somebody else made. */
export interface ImageFacts {
  /** Text of cmdline.txt; undefined where there is none. */
  cmdline: string | undefined;
  /** Where the running system has the boot partition. */
  bootPath: '/boot' | '/boot/firmware';
  /** Its own host name. */
  hostname?: string | undefined;
  /** Day the system was made, like 2024-07-04. */
  released?: string | undefined;
  /** Whether NetworkManager runs its network; before bookworm it was dhcpcd and wpa_supplicant. */
  networkManager: boolean;
  /** 16 hex digits that no other card has. */
  random: string;
  hostKeys: HostKey[];
}

/** A file of the boot partition as it is to be, or that it is to go. Path without leading slash. */
export type Edit = { path: string; content: Buffer } | { path: string; remove: true };

export const textFile = (path: string, text: string): Edit => ({ path, content: Buffer.from(text) });

/**
 * cmdline.txt without the words that `gone` matches, and with `words` at its end; nothing where there is none. The kernel's command line
 * is its first line.
 */
export function cmdlineEdit({ cmdline }: ImageFacts, gone: RegExp, words: string[]): Edit[] {
  if (cmdline === undefined) return [];
  const [line = '', ...rest] = cmdline.replaceAll('\r', '').split('\n');
  const kept = line.split(' ').filter((word) => word !== '' && !gone.test(word) && !words.includes(word));
  return [textFile('cmdline.txt', [[...kept, ...words].join(' '), ...rest].join('\n').trimEnd() + '\n')];
}

/**
 * Word of the command line for the country whose radio rules hold, as Raspberry Pi Imager adds it for each of its formats
 * (rpi-imager, src/imagewriter.cpp); and what it takes the place of.
 */
export const regdomWord = (country: string): string => `cfg80211.ieee80211_regdom=${country}`;
export const REGDOM = /^cfg80211\.ieee80211_regdom=/;
