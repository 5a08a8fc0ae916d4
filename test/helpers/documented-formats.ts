// What the readers of the first-boot formats document, as schemas: whatever is not listed there, nobody has said that they read. Written from
// the sources that are named, and not from what piimg writes.
import { z } from 'zod';

const text = z.string();
const bool = z.boolean();
const count = z.int().nonnegative();
const list = z.array(text);

/** All may be left out, and nothing else may be there. */
const only = <T extends z.core.$ZodLooseShape>(keys: T) => z.strictObject(keys).partial();

/** 64 hex digits are a key, shorter ones a passphrase (wpa_supplicant.conf(5), psk). */
const hexKey = text.regex(/^[0-9a-f]{64}$/);
const country = text.regex(/^[A-Z]{2}$/);

/** raspberrypi-sys-mods, bookworm: usr/lib/raspberrypi-sys-mods/init_config warns of any other section or key. */
const customToml = only({
  system: only({ hostname: text }),
  user: only({ name: text, password: text, password_encrypted: bool }),
  ssh: only({ enabled: bool, password_authentication: bool, authorized_keys: list, ssh_import_id: list.or(text) }),
  wlan: only({ ssid: text, password: text, password_encrypted: bool, hidden: bool, country }),
  locale: only({ keymap: text, timezone: text }),
}).extend({ config_version: z.literal(1) });

/** raspberrypi/rpi-preseed (2026-07): schema/rpi-preseed.schema, doc/rpi-preseed.5. */
const rpiPreseed = only({
  system: only({ hostname: text }),
  user: only({ name: text, password: text, password_encrypted: bool, passwordless_sudo: bool, groups: list }),
  ssh: only({ enabled: bool, password_authentication: bool, ssh_import_id: list, authorized_keys: list }),
  wlan: only({
    ssid: text,
    ssid_hex: text.regex(/^([0-9a-f]{2})+$/),
    password: text,
    password_encrypted: bool,
    hidden: bool,
    country,
    key_mgmt: z.enum(['none', 'owe', 'wpa-psk', 'sae']),
  }),
  ethernet: only({
    method: z.enum(['dhcp', 'static', 'disabled']),
    address: text,
    gateway: text,
    dns: list,
    dns_search: list,
    interface: text,
  }),
  locale: only({
    keymap: text,
    keymap_model: text,
    keymap_variant: text,
    keymap_options: list,
    timezone: text,
    locales: list,
    lang: text,
    lc_time: text,
    lc_measurement: text,
  }),
  connect: only({ enabled: bool, mode: z.enum(['token', 'device-identity']), token: text }),
  packages: only({ update: bool, upgrade: bool, install: list, remove: list }),
  runcmd: only({
    early: list,
    late: list,
    early_cmd_timeout: count,
    late_require_time_sync: bool,
    late_wait_for_apt_lock: bool,
    late_gate_timeout: count,
    late_retries: count,
    late_retry_delay: count,
    late_retry_max_delay: count,
  }),
  debug: bool,
}).extend({ config_version: z.literal('1.1') });

/** cloud-init's documentation: modules set-hostname, update-etc-hosts, resolv-conf, users-groups, set-passwords, ssh, locale, timezone, runcmd, write-files. */
const account = only({
  name: text,
  gecos: text,
  groups: list.or(text),
  shell: text,
  sudo: text.or(list).or(z.null()),
  passwd: text,
  hashed_passwd: text,
  lock_passwd: bool,
  uid: count,
  ssh_authorized_keys: list,
  ssh_import_id: list,
});
const userData = only({
  hostname: text,
  fqdn: text,
  preserve_hostname: bool,
  manage_etc_hosts: bool.or(z.literal('localhost')),
  manage_resolv_conf: bool,
  user: account,
  users: z.array(account.or(text)),
  ssh_pwauth: bool,
  ssh_deletekeys: bool,
  ssh_keys: z.record(text.regex(/^(rsa|ecdsa|ed25519)_(private|public)$/), text),
  locale: text,
  timezone: text,
  runcmd: z.array(list.or(text)),
  write_files: z.array(
    only({ path: text, content: text, permissions: text, owner: text, encoding: text, defer: bool }),
  ),
});

/** cloud-init's documentation, datasource NoCloud: meta-data. */
const metaData = only({ 'local-hostname': text, hostname: text, dsmode: text }).extend({ 'instance-id': text });

/** netplan's reference, to which cloud-init hands version 2: properties of all devices, of Wi-Fi (`regulatory-domain` since 0.105), of access points. */
const device = {
  renderer: z.enum(['networkd', 'NetworkManager']),
  match: only({ name: text, macaddress: text, driver: text }),
  'set-name': text,
  dhcp4: bool,
  dhcp6: bool,
  'accept-ra': bool,
  addresses: list,
  routes: z.array(only({ to: text, via: text, metric: count, 'on-link': bool })),
  nameservers: only({ addresses: list, search: list }),
  optional: bool,
  macaddress: text,
  mtu: count,
};
const accessPoint = only({
  password: text,
  hidden: bool,
  auth: only({ 'key-management': z.enum(['none', 'psk', 'sae', 'eap', '802.1x']), password: text }),
  mode: z.enum(['infrastructure', 'ap', 'adhoc']),
  bssid: text,
  band: z.enum(['2.4GHz', '5GHz']),
  channel: count,
});
const networkConfig = z.strictObject({
  network: only({
    renderer: z.enum(['networkd', 'NetworkManager']),
    ethernets: z.record(text, only(device)),
    wifis: z.record(
      text,
      only({ ...device, 'regulatory-domain': country, 'access-points': z.record(text, accessPoint) }),
    ),
  }).extend({ version: z.literal(2) }),
});

/** raspberrypi-sys-mods' imager_custom (its usage), userconf-pi's userconf, raspi-config's `nonint`: program, then what it takes. */
const calls = z.array(
  z.union([
    z.tuple([
      z.literal('imager_custom'),
      z.enum(['set_hostname', 'set_timezone', 'set_keymap', 'set_wlan_country']),
      text,
    ]),
    z.tuple(
      [z.literal('imager_custom'), z.literal('enable_ssh')],
      z.enum(['-k', '--key-only', '-p', '--pass-auth', '-d', '--disabled']),
    ),
    z.tuple([z.literal('userconf'), text, text]),
    z.tuple([z.literal('raspi-config'), z.literal('nonint'), z.enum(['do_change_locale', 'do_hostname']), text]),
  ]),
);

/** nm-settings-keyfile(5), nm-settings-nmcli(5): sections connection, wifi, wifi-security, ipv4, ipv6; `address1`, `gateway`, `dns` as keyfiles spell them. */
const address = {
  method: z.enum(['auto', 'manual', 'disabled', 'link-local', 'shared', 'ignore']),
  address1: text,
  gateway: text,
  dns: text.regex(/;$/),
  'may-fail': text,
};
const keyfile = only({
  ethernet: only({ 'mac-address': text }),
  wifi: only({
    mode: z.enum(['infrastructure', 'adhoc', 'ap']),
    // Octets in decimal, or text (the table "Differences in key-file format").
    ssid: text.regex(/^(\d{1,3};)+$/).or(text.regex(/^[^;]+$/)),
    hidden: z.enum(['true', 'false']),
  }),
  'wifi-security': only({ 'key-mgmt': z.enum(['none', 'wpa-psk', 'sae', 'owe']), psk: hexKey }),
  ipv4: only(address),
  ipv6: only({ ...address, 'addr-gen-mode': text }),
}).extend({
  connection: only({
    id: text,
    uuid: text,
    'autoconnect-priority': text.regex(/^\d+$/),
    'interface-name': text,
  }).extend({
    type: z.enum(['ethernet', 'wifi']),
  }),
});

/** wpa_supplicant.conf(5); `ssid` without quotes is hex. */
const wpaSupplicant = only({ ctrl_interface: text, update_config: z.literal('1'), country }).extend({
  network: only({
    ssid: text.regex(/^([0-9a-f]{2})+$/).or(text.regex(/^".+"$/)),
    scan_ssid: z.enum(['0', '1']),
    key_mgmt: z.enum(['NONE', 'WPA-PSK', 'SAE']),
    psk: hexKey.or(text.regex(/^".{8,63}"$/)),
  }),
});

/** userconf-pi: userconf-service, validate_user and validate_password. */
const userconf = z.strictObject({ name: text.regex(/^(?!root$)[a-z][a-z0-9-]{0,31}$/), hash: text.min(1) });

/** raspberrypi-sys-mods: sshswitch looks for the file; the documentation of Raspberry Pi's has it empty. */
const ssh = z.literal('');

/** What follows what the image had: systemd-run-generator(8); cloud-init's datasource NoCloud; the kernel's admin-guide (cfg80211). */
const words = z.array(
  z.union([
    text.regex(/^cfg80211\.ieee80211_regdom=[A-Z]{2}$/),
    text.regex(/^ds=nocloud(;s=[^;]+)?;i=[^; ]+$/),
    text.regex(/^systemd\.run=\/\S+$/),
    text.regex(/^systemd\.run_success_action=(reboot|poweroff|exit|none)$/),
    z.literal('systemd.unit=kernel-command-line.target'),
  ]),
);

export const DOCUMENTED = {
  customToml,
  rpiPreseed,
  userData,
  metaData,
  networkConfig,
  calls,
  keyfile,
  wpaSupplicant,
  userconf,
  ssh,
  words,
};
