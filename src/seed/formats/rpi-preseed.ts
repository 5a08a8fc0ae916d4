// Format `rpi-preseed`: rpi-preseed.toml, which the package of that name applies on the first boot.
//
// Facts from rpi-preseed (2026-07): doc/rpi-preseed.5, schema/rpi-preseed.schema, src/apply/*.sh; no word of cmdline.txt names the file.
import { plainKey } from '../../lib/ssh-key.ts';
import { quote } from '../../lib/quote.ts';
import type { Network, Wifi } from '../network.ts';
import type { Node, User } from '../node.ts';
import { octetsOf, wifiKey } from '../wifi.ts';
import { asksForPassword, cmdlineEdit, REGDOM, regdomWord, textFile, type Edit, type ImageFacts } from './edits.ts';
import { plainSsid } from './network-manager.ts';
import { toml, type TomlTables } from './toml.ts';

export function rpiPreseedEdits({ node, users, network, locale, timezone }: Node, facts: ImageFacts): Edit[] {
  const [user] = users;
  const keys = (user?.keys ?? []).map(plainKey);
  const text = toml(
    { config_version: '1.1' },
    {
      system: { hostname: node },
      user: user === undefined ? {} : account(user),
      ssh: {
        enabled: true,
        // Its default is false.
        password_authentication: keys.length === 0 && user?.passwordHash !== undefined,
        authorized_keys: keys.length > 0 ? keys : undefined,
      },
      wlan: network.wifi === undefined ? {} : wireless(network.wifi),
      ethernet: wired(network),
      locale: { timezone, locales: locale === undefined ? undefined : [locale], lang: locale },
      runcmd: { early: user === undefined ? undefined : early(user, keys) },
    },
  );
  const country = network.wifi?.country;
  return [
    textFile('rpi-preseed.toml', text),
    // imager_custom enables sshd, which then runs at the second boot; sshswitch of raspberrypi-sys-mods starts it too.
    textFile('ssh', ''),
    ...(country === undefined ? [] : cmdlineEdit(facts, REGDOM, [regdomWord(country)])),
  ];
}

function account({ name, passwordHash, sudo = true, groups }: User): TomlTables[string] {
  return {
    name,
    password: passwordHash,
    password_encrypted: passwordHash === undefined ? undefined : true,
    passwordless_sudo: sudo,
    groups: [...new Set(['sudo', ...groups])],
  };
}

/** The images of 2026-04 have /usr/sbin/nologin for their first user. */
function early({ name, sudo }: User, keys: string[]): string[] {
  return [
    `usermod -s /bin/bash ${quote([name])}`,
    ...(sudo === false ? [asksForPassword(name)] : []),
    ...(keys.length > 0 ? [keysCommand(keys)] : []),
  ];
}

/** It writes the name into a keyfile as it is, but as bytes what comes in hex. */
function wireless({ ssid, password, hidden = false, country }: Wifi): TomlTables[string] {
  return {
    ...(plainSsid(ssid) ? { ssid } : { ssid_hex: octetsOf(ssid).toString('hex') }),
    ...(password !== undefined && { password: wifiKey(password, ssid), password_encrypted: true }),
    hidden,
    country,
  };
}

function wired({ addresses: [address], gateway, dns }: Network): TomlTables[string] {
  if (address === undefined) return {};
  return { method: 'static', address, gateway, dns: dns.length > 0 ? dns : undefined };
}

/**
 * Writes the keys itself: the version of 2026-07 collects them in a loop behind a pipe (src/apply/ssh.sh), a subshell, and so hands none of
 * them to imager_custom.
 */
function keysCommand(keys: string[]): string {
  return [
    'u=$(id -nu 1000) && h=$(getent passwd 1000 | cut -d: -f6)',
    'install -d -m 700 -o "$u" -g "$(id -g "$u")" "$h/.ssh"',
    `printf '%s\\n' ${quote(keys)} > "$h/.ssh/authorized_keys"`,
    'chmod 600 "$h/.ssh/authorized_keys" && chown "$u:" "$h/.ssh/authorized_keys"',
  ].join(' && ');
}
