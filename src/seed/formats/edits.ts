// What a writer of a first-boot format is told of the image, and what it gives back: changes of files on the boot partition.
import { quote } from '../../lib/quote.ts';
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
  /** What runs its network: since bookworm NetworkManager, before it dhcpcd with wpa_supplicant; undefined where it is neither of them. */
  network?: 'NetworkManager' | 'dhcpcd' | undefined;
  /** Whether netplan is there: cloud-init hands Wi-Fi to no other renderer, and only warns (its renderers, `handle_wifis`). */
  netplan: boolean;
  /** Names in the root folder of the boot partition. */
  bootFiles: string[];
  /** Of /etc/passwd. `shell`: whether it is one that somebody can work in. */
  accounts: { name: string; uid: number; shell: boolean }[];
  /** Whether the account with id 1000, which most first boots make their first user of, is one of the role that piimg has put onto it. */
  firstIsRoles: boolean;
  /** Whether userconf-pi is there to read userconf.txt. */
  userconf: boolean;
  /** Whether imager_custom hands the name of a Wi-Fi to wpa_cli through a shell, as in bullseye. */
  wifiByShell: boolean;
  /** 16 hex digits that no other card has. */
  random: string;
  hostKeys: HostKey[];
}

/** A file of the boot partition as it is to be, or that it is to go. Path without leading slash. */
export type Edit = { path: string; content: Buffer } | { path: string; remove: true };

export const textFile = (path: string, text: string): Edit => ({ path, content: Buffer.from(text) });

/** Words that only an identity of an earlier time has put there; `firstrun.sh` is what Raspberry Pi Imager calls its script too. */
export const EARLIER = /^ds=nocloud.*;(i|instance-id)=/;
const EARLIER_SCRIPT =
  /^systemd\.(run|run_success_action|run_failure_action)=|^systemd\.unit=kernel-command-line\.target$/;
const namesScript = (word: string): boolean => /^systemd\.run=.*\/firstrun\.sh$/.test(word);

/**
 * cmdline.txt without the words that `gone` matches or an earlier identity has left, and with `words` at its end; nothing where there is
 * none. The kernel's command line is its first line.
 */
export function cmdlineEdit({ cmdline }: ImageFacts, gone: RegExp, words: string[]): Edit[] {
  if (cmdline === undefined) return [];
  const [line = '', ...rest] = cmdline.replaceAll('\r', '').split('\n');
  const old = line.split(' ').filter((word) => word !== '');
  const script = old.some(namesScript);
  const goes = (word: string): boolean =>
    gone.test(word) || EARLIER.test(word) || (script && EARLIER_SCRIPT.test(word)) || words.includes(word);
  const kept = old.filter((word) => !goes(word));
  return [textFile('cmdline.txt', [[...kept, ...words].join(' '), ...rest].join('\n').trimEnd() + '\n')];
}

/**
 * Word of the command line for the country whose radio rules hold, as Raspberry Pi Imager adds it for each of its formats
 * (rpi-imager, src/imagewriter.cpp); and what it takes the place of.
 */
export const regdomWord = (country: string): string => `cfg80211.ieee80211_regdom=${country}`;
export const REGDOM = /^cfg80211\.ieee80211_regdom=/;

/** Shell: takes the line of a user from the rule of Raspberry Pi OS, to which userconf gives the name of the first user (userconf-pi, userconf). */
export function asksForPassword(name: string): string {
  const file = '/etc/sudoers.d/010_pi-nopasswd';
  return `test ! -e ${file} || sed -i ${quote([`/^${name} /d`])} ${file}`;
}
