// A Wi-Fi as netplan and wpa_supplicant want it: the key that its password stands for, and its name.
import { pbkdf2Sync } from 'node:crypto';

/**
 * 64 hex digits: IEEE 802.11, annex J.4, PBKDF2 of the password with the name as salt, 4096 rounds of HMAC-SHA1, 256 bits. It opens
 * this network as well as the password does, but tells nobody what else that might open. A key is given back as it is.
 */
export function wifiKey(password: string, ssid: string): string {
  if (password.length === 64) return password.toLowerCase();
  return pbkdf2Sync(password, Buffer.from(ssid), 4096, 32, 'sha1').toString('hex');
}

/**
 * netplan (1.1) writes the name as it is between the quotes of wpa_supplicant's `ssid=P"…"`, which then reads escapes in it, and takes what
 * follows a quote and `#` for a comment: one such name, and no Wi-Fi at all is joined. Escapes come through for every one of them.
 */
export function escapeSsid(ssid: string): string {
  return ssid.replaceAll(/["#\\]/g, (character) => `\\x${character.charCodeAt(0).toString(16)}`);
}

/** The name that `escapeSsid`, or a person, has written. */
export function unescapeSsid(text: string): string {
  return text.replaceAll(/\\(?:x([0-9a-fA-F]{2})|(["\\]))/g, (_all, hex?: string, plain?: string) =>
    hex === undefined ? (plain ?? '') : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** Whether NetworkManager's keyfile, to which netplan hands the name, would take it for a list of bytes. */
export const looksLikeBytes = (ssid: string): boolean => /^[\d; ]*;[\d; ]*$/.test(ssid);
