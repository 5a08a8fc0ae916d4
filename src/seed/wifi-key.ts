// The key that a Wi-Fi password stands for: what a card carries in its place.
import { pbkdf2Sync } from 'node:crypto';

/**
 * 64 hex digits: IEEE 802.11, annex J.4, PBKDF2 of the password with the name as salt, 4096 rounds of HMAC-SHA1, 256 bits. It opens
 * this network as well as the password does, but tells nobody what else that might open. A key is given back as it is.
 */
export function wifiKey(password: string, ssid: string): string {
  if (password.length === 64) return password.toLowerCase();
  return pbkdf2Sync(password, Buffer.from(ssid), 4096, 32, 'sha1').toString('hex');
}
