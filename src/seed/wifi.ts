// A Wi-Fi as netplan and wpa_supplicant want it: the key that its password stands for, and its name.
import { pbkdf2Sync } from 'node:crypto';
import { shownOctets } from '../lib/utf8.ts';
import type { Ssid } from './network.ts';

/** The name as it is sent. */
export const octetsOf = (ssid: Ssid): Buffer =>
  typeof ssid === 'string' ? Buffer.from(ssid) : Buffer.from(ssid.hex, 'hex');

/** For people. */
export const shownSsid = (ssid: Ssid): string => (typeof ssid === 'string' ? ssid : `0x${ssid.hex}`);

/**
 * 64 hex digits: IEEE 802.11, annex J.4, PBKDF2 of the password with the name as salt, 4096 rounds of HMAC-SHA1, 256 bits. It opens
 * this network as well as the password does, but tells nobody what else that might open. A key is given back as it is.
 */
export function wifiKey(password: string, ssid: Ssid): string {
  if (password.length === 64) return password.toLowerCase();
  return pbkdf2Sync(password, octetsOf(ssid), 4096, 32, 'sha1').toString('hex');
}

/**
 * netplan (1.1) writes the name as it is between the quotes of wpa_supplicant's `ssid=P"…"`, which then reads escapes in it, and takes what
 * follows a quote and `#` for a comment: one such name, and no Wi-Fi at all is joined. Escapes come through for every one of them.
 */
export function escapeSsid(ssid: Ssid): string {
  // Of bytes, all but what is plain ASCII.
  const [text, special] =
    typeof ssid === 'string' ? [ssid, /["#\\]/g] : [octetsOf(ssid).toString('latin1'), /[^ -~]|["#\\]/g];
  return text.replaceAll(special, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/** The name that `escapeSsid`, or a person, has written, for people. */
export function unescapeSsid(text: string): string {
  // An escape is a byte, and so is each character of latin1.
  const bytes = Buffer.from(text)
    .toString('latin1')
    .replaceAll(/\\(?:x([0-9a-fA-F]{2})|(["\\]))/g, (_all, hex?: string, plain?: string) =>
      hex === undefined ? (plain ?? '') : String.fromCharCode(Number.parseInt(hex, 16)),
    );
  return shownOctets(Buffer.from(bytes, 'latin1'));
}

/** As NetworkManager's keyfile has what is not plain (nm-settings-keyfile(5)): a list of bytes. */
export const byteList = (ssid: Ssid): string => `${[...octetsOf(ssid)].join(';')};`;

/** Whether NetworkManager's keyfile, to which netplan hands the name, would take it for such a list although it is none. */
export const looksLikeBytes = (ssid: string): boolean => /^[\d; ]*;[\d; ]*$/.test(ssid);
