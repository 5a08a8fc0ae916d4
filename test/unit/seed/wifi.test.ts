// The key made of a Wi-Fi password, compared with the test vectors of IEEE 802.11, annex J.4.2; names with odd characters.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { escapeSsid, octetsOf, shownSsid, unescapeSsid, wifiKey } from '../../../src/seed/wifi.ts';

const vectors: [string, string, string][] = [
  ['password', 'IEEE', 'f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e'],
  ['ThisIsAPassword', 'ThisIsASSID', '0dc0d6eb90555ed6419756b9a15ec3e3209b63df707dd508d14581f8982721af'],
  ['a'.repeat(32), 'Z'.repeat(32), 'becb93866bb8c3832cb777c2f559807c8c59afcb6eae734885001300a981cc62'],
];
for (const [password, ssid, key] of vectors) {
  test(`${password} of ${ssid}`, () => assert.is(wifiKey(password, ssid), key));
}

test('another name gives another key, and a key stays what it is', () => {
  assert.is.not(wifiKey('password', 'ieee'), vectors[0]?.[2]);
  assert.is(wifiKey('AB'.repeat(32), 'IEEE'), 'ab'.repeat(32));
});

test('names are escaped where netplan or wpa_supplicant would break them, and come back', () => {
  assert.is(escapeSsid('my "net" \\ #1 é😀'), 'my \\x22net\\x22 \\x5c \\x231 é😀');
  for (const name of ['plain', 'a"b', '\\x22', '\\\\', '#', 'é😀']) assert.is(unescapeSsid(escapeSsid(name)), name);
  for (const hex of ['4bfc', '22ff', 'c3a9']) {
    const seen = unescapeSsid(escapeSsid({ hex }));
    assert.is(seen, hex === 'c3a9' ? 'é' : shownSsid({ hex }));
  }
  assert.is(unescapeSsid('by \\"hand\\" \\\\'), 'by "hand" \\');
});

test('a name of bytes that are no text: the key is made of them, and they are escaped', () => {
  const latin1 = { hex: Buffer.from('Küche "1"', 'latin1').toString('hex') };
  assert.equal(octetsOf(latin1), Buffer.from('Küche "1"', 'latin1'));
  assert.is(escapeSsid(latin1), 'K\\xfcche \\x221\\x22');
  assert.is(escapeSsid({ hex: '0a00' }), '\\x0a\\x00');
  assert.is(shownSsid({ hex: '4bfc' }), '0x4bfc');
  assert.is(wifiKey('password', { hex: '49454545' }), vectors[0]?.[2]);
  assert.is.not(wifiKey('password', latin1), wifiKey('password', 'Küche "1"'));
});

test.run();
